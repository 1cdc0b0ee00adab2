"""Many small MLPs at once, step for step as trainables does. verify() compares with the product."""
import sys, math, time, itertools, pathlib
import numpy as np, torch
torch.set_num_threads(1)
sys.path.insert(0, '.'); sys.path.insert(0, './benchmarks')
import scaffold
from search.settings import load_config, default_cache
from trainables.device import select_compute
from trainables.pictures import as_tensor, normalise
from trainables.training import DeviceAssets, Distillation, Replicate
from trainables.training.corruption import Corruption
from trainables.training.optimization import _one_cycle
from trainables.teacher import compute_logits
from trainables.config import PolicySettings

class Prob:
    def __init__(s, overrides=(), recipe='unreliable-samples-digits'):
        s.config = load_config(recipe, ["device.device=cpu", *overrides])
        s.compute = select_compute(s.config.device)
        s.dataset, s.teacher, s.assets = scaffold.prepare(s.config, pathlib.Path(default_cache()))
        a = s.assets; mean, std = as_tensor(a.mean), as_tensor(a.std)
        f = lambda sp: (normalise(as_tensor(sp.images[:]), mean, std).flatten(1), as_tensor(sp.labels))
        s.X, s.truth = f(a.train); s.V = f(a.validation); s.Te = f(s.dataset.test)
        s.clean_targets = as_tensor(a.train_targets)[0].float()
        s.data = DeviceAssets(a, s.compute)
        s.N = len(s.X); s.B = s.config.training.batch_size
        s.reps = {}
        if s.config.corruption is not None:
            c = Corruption(s.config.corruption, pictures=s.N, batch_size=s.B, seed=0)
            src = c.sources(np.arange(s.N), 0)
            s.y = s.truth[torch.from_numpy(src.labels)]; s.t = s.clean_targets[torch.from_numpy(src.targets)]
        else: s.y, s.t = s.truth, s.clean_targets
    def rep(s, seed):
        if seed not in s.reps:
            st = s.config.base_trial().model_copy(update={'seeds': (seed,)})
            r = Replicate(st, seed, s.data, s.data.augmentation(st.augmentation))
            ps = [p.detach().clone() for p in r.student.parameters()]
            s.reps[seed] = (ps, r)
        return s.reps[seed]
    def order(s, seed, epoch): return s.rep(seed)[1].order_of(epoch)

def train(P, cfgs, seeds, epochs=None, each_epoch=False, y=None, t=None, chunk=120, V=None, keep=False):
    """cfgs: dicts kind fixed/snb/…, lam, kappa, lr, T, ls, wd, (adamw=False). -> val, test [K,S] (or [K,S,E])"""
    epochs = epochs or P.config.training.epochs
    y = P.y if y is None else y; t = P.t if t is None else t
    S = len(seeds); per = max(1, chunk // S)
    orders = [torch.stack([P.order(s, e) for s in seeds]) for e in range(epochs)]
    out = [_train(P, cfgs[i:i+per], seeds, epochs, each_epoch, y, t, orders, V, keep) for i in range(0, len(cfgs), per)]
    return tuple(torch.cat([o[j] for o in out]).numpy() for j in range(3 if keep else 2))

@torch.no_grad()
def _train(P, cfgs, seeds, epochs, each_epoch, y, t, orders, V, keep):
    K, S, B = len(cfgs), len(seeds), P.B; M = K*S; C = 10
    init = [P.rep(s)[0] for s in seeds]
    D = init[0][0].shape[1]; H = init[0][0].shape[0]
    flat = torch.stack([torch.cat([p.flatten() for p in ps]) for ps in init])
    buf = flat.repeat(K, 1).contiguous(); g = torch.zeros_like(buf); m = torch.zeros_like(buf); v = torch.zeros_like(buf)
    def views(b):
        o = 0; r = []
        for sh in ((H, D), (H,), (C, H), (C,)):
            n = math.prod(sh); r.append(b[:, o:o+n].view(M, *sh)); o += n
        return r
    W1, b1, W2, b2 = views(buf); G1, h1, G2, h2 = views(g)
    def col(name, d): return torch.tensor([float(c.get(name, d)) for c in cfgs]).repeat_interleave(S)
    lr = col('lr', 0); T = col('T', 1)[:, None, None]; lam = col('lam', 0)[:, None]; kap = col('kappa', 1)[:, None]
    ls = col('ls', 0)[:, None, None]; wd = col('wd', 0)[:, None]; dec = col('decoupled', 0)[:, None]
    kinds = np.array([c['kind'] for c in cfgs]).repeat(S)
    snb = torch.tensor(kinds == 'snb')[:, None]; thr = torch.tensor(kinds == 'thr')[:, None]
    per_T = {}
    Vs = V or P.V
    steps = len(orders[0][0])//B; total = steps*epochs; k = 0
    onehot = torch.nn.functional.one_hot(y, C).float()
    res = []
    anywd = bool((wd > 0).any())
    logs = []
    def acc(Z, W1=W1, b1=b1, W2=W2, b2=b2):
        h = torch.baddbmm(b1[:, None], Z[0].expand(M, -1, -1), W1.transpose(1, 2)).relu_()
        return (torch.baddbmm(b2[:, None], h, W2.transpose(1, 2)).argmax(2) == Z[1])
    for e in range(epochs):
        for b in range(steps):
            idx = orders[e][:, b*B:(b+1)*B]
            X = P.X[idx].repeat(K, 1, 1); Y = onehot[idx].repeat(K, 1, 1); Q = t[idx].repeat(K, 1, 1)
            a = torch.baddbmm(b1[:, None], X, W1.transpose(1, 2)); h = a.relu()
            z = torch.baddbmm(b2[:, None], h, W2.transpose(1, 2))
            vt = z.softmax(2) - (Y*(1-ls) + ls/C)
            vd = T*((z/T).softmax(2) - (Q/T).softmax(2))
            r = (vd.norm(dim=2)/vt.norm(dim=2).clamp_min(1e-30)).clamp(1e-12, 1e12)
            w = torch.where(snb, 1/(r/kap+1), torch.where(thr, torch.where(r > kap, 0.0, lam), lam))[..., None]
            dz = (w*vd + (1-w)*vt)/B
            torch.bmm(dz.transpose(1, 2), h, out=None if True else None)
            G2.copy_(torch.bmm(dz.transpose(1, 2), h)); h2.copy_(dz.sum(1))
            dh = torch.bmm(dz, W2); dh.mul_(a > 0)
            G1.copy_(torch.bmm(dh.transpose(1, 2), X)); h1.copy_(dh.sum(1))
            f = _one_cycle(k, total); k += 1
            rate = (lr*f)[:, None]
            if anywd:
                buf.mul_(1 - rate*wd*dec); g.add_(buf*(wd*(1-dec)))
            m.lerp_(g, 0.1); v.mul_(0.999).addcmul_(g, g, value=0.001)
            den = v.sqrt().div_(math.sqrt(1-0.999**k)).add_(1e-8)
            buf.sub_(rate/(1-0.9**k)*m/den)
        if each_epoch: res.append((acc(Vs).float().mean(1), acc(P.Te).float().mean(1)))
    if not each_epoch:
        te = acc(P.Te)
        o = [100*acc(Vs).float().mean(1).view(K, S), 100*te.float().mean(1).view(K, S)]
        if keep: o.append(te.view(K, S, -1))
        return o
    va = 100*torch.stack([r[0] for r in res], 1).view(K, S, epochs); te = 100*torch.stack([r[1] for r in res], 1).view(K, S, epochs)
    return va, te

def product(P, family, params, lr, T, seeds):
    st = P.config.base_trial(); st = st.model_copy(update={'seeds': tuple(seeds), 'policy': PolicySettings(family=family, parameters=params), 'temperature': T, 'training': st.training.model_copy(update={'learning_rate': lr}), 'evaluations': 1, 'trace_points': 2})
    d = Distillation(st, P.data)
    for _ in d.records(): pass
    return np.array([100*r.validation_accuracy for r in d.results])

if __name__ == '__main__':
    P = Prob(); print(P.N, P.X.shape, len(P.V[1]), len(P.Te[1]), 'teacher', P.assets.teacher_accuracy)
    t0=time.time(); print('product snb', product(P,'sample_norm_balance',{'balance':1.0},0.02,4.0,(0,1,2,3,4)), time.time()-t0)
    t0=time.time(); print('product fixed', product(P,'fixed',{'weight':0.465},0.01,16.0,(0,1,2,3,4)), time.time()-t0)
    t0=time.time(); v,te=train(P,[dict(kind='snb',kappa=1.,lr=.02,T=4.),dict(kind='fixed',lam=.465,lr=.01,T=16.)],[0,1,2,3,4]); print(v, time.time()-t0)
    t0=time.time(); train(P,[dict(kind='snb',kappa=1.,lr=.02,T=4.)]*120,[0,1,2,3,4]); print('600 trainings', time.time()-t0)
