import json, itertools, numpy as np, torch, time
from sim import *
from search.evidence.statistics.two_noises import two_noises
LR = [3e-4, 1e-3, 2e-3, 4e-3, 7e-3, 1.2e-2, 2e-2, 4e-2, 8e-2]
TS = [.5, 1., 2., 4., 8., 16., 32., 64.]
LAM = [0., .03, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1.]
KAP = [.1, .2, .4, .7, 1., 1.5, 2.5, 4.]
def consts(LAM=LAM, LR=LR, TS=TS, **more): return [dict(kind='fixed', lam=l, lr=r, T=T, **more) for l in LAM for r in LR for T in (TS if l > 0 else [1.])]
def snbs(KAP=KAP, LR=LR, TS=TS): return [dict(kind='snb', kappa=k, lr=r, T=T) for k in KAP for r in LR for T in TS]
def told(c): return ' '.join(f'{k}={v:g}' if not isinstance(v, str) else v for k, v in c.items())
FRESH = list(range(100, 130))
def tune(P, cfgs, first=(0,1,2), top=12, seeds=range(10), **kw):
    v, te = train(P, cfgs, list(first), **kw); m = v.mean(1); best = np.argsort(-m)[:top]
    short = [cfgs[i] for i in best]; v2, te2 = train(P, short, list(seeds), **kw)
    o = np.argsort(-v2.mean(1)); return [short[i] for i in o], v2.mean(1)[o], (cfgs, m)
def boot(d, n=2000, seed=0):
    """d [S,N] differences in points; both seeds and samples redrawn"""
    r = np.random.default_rng(seed); S, N = d.shape
    out = [d[r.integers(0, S, S)].mean(0)[r.integers(0, N, N)].mean() for _ in range(n)]
    return np.percentile(out, [2.5, 97.5])
def cmp(hr, hc):
    d = 100*(hr.astype(float)-hc.astype(float)); tn = two_noises(d); h = tn.half_width(.05); b = boot(d)
    return f'{d.mean():+.2f} ({d.mean()-h:+.2f} to {d.mean()+h:+.2f}; boot {b[0]:+.2f} to {b[1]:+.2f}), seeds ahead {(d.mean(1)>0).sum()}/{len(d)}'
def contest(P, name, C=None, R=None, favour=True, first=(0,1,2), top=12, seeds=range(10), **kw):
    t0 = time.time(); C = C or consts(); R = R or snbs()
    tc, vc, allc = tune(P, C, first, top, seeds, **kw); tr, vr, _ = tune(P, R, first, top, seeds, **kw)
    _, ec, hc = train(P, tc[:1], FRESH, keep=True, **kw); _, er, hr = train(P, tr[:1], FRESH, keep=True, **kw)
    _, e0, h0 = train(P, [dict(kind='snb', kappa=1., lr=tc[0]['lr'], T=tc[0]['T'])], FRESH, keep=True, **kw)
    print(f'\n## {name}\nconstant {told(tc[0])}: val {vc[0]:.2f} test {ec[0].mean():.2f} | rule {told(tr[0])}: val {vr[0]:.2f} test {er[0].mean():.2f} | lead {cmp(hr[0], hc[0])}', flush=True)
    print(f'   snb kappa=1 at the constant\'s lr,T: test {e0[0].mean():.2f} lead {cmp(h0[0], hc[0])}', flush=True)
    if favour:
        order = np.argsort(-allc[1])[:60]; short = [C[i] for i in order]
        _, e, h = train(P, short, FRESH, keep=True, **kw); j = e.mean(1).argmax()
        print(f'   constant chosen ON TEST of the 60 best: {told(short[j])}: test {e[j].mean():.2f}; rule\'s lead {cmp(hr[0], h[j])}')
    print(f'   {time.time()-t0:.0f} s', flush=True)
    return tc, tr
