from contest import *
import torch
def cycle(idx, src): src[idx] = np.roll(idx, 1)
def noise(P, wl, wt, seed=0, overlap=False):
    r = np.random.default_rng(seed); N = P.N; o = r.permutation(N); L = np.arange(N); Q = np.arange(N)
    nt, nl = round(wt*N), round(wl*N); cycle(o[:nt], Q) if nt > 1 else None
    o2 = r.permutation(N)[:nl] if overlap else o[nt:nt+nl]
    if nl > 1: cycle(o2, L)
    P.y = P.truth[torch.from_numpy(L)]; P.t = P.clean_targets[torch.from_numpy(Q)]
def sizes(P): return f'labels right {float((P.y==P.truth).float().mean()):.2f} teacher right {float((P.t.argmax(1)==P.truth).float().mean()):.2f} both wrong {float(((P.y!=P.truth)&(P.t.argmax(1)!=P.truth)).float().mean()):.2f}'
LRS=[1e-3,3e-3,8e-3,2e-2,5e-2]; C = consts([0.,.05,.15,.3,.45,.6,.75,.9,1.],LRS,[1.,4.,16.,64.]); R = snbs([.1,.3,1.,2.,4.],LRS,[1.,4.,16.,64.])
import sys
def go(P, name): contest(P, name+" | "+sizes(P), C, R, favour=False, first=(0,1), top=8, seeds=range(6))
if __name__ == '__main__':
    P = Prob(["corruption.teacher_share=0.0", "corruption.label_share=0.0"])
    pass
    noise(P,.3,.3,overlap=True); go(P,'30/30 independent')
    noise(P,.5,.5); go(P,'50/50 disjoint'); noise(P,.2,.2); go(P,'20/20'); noise(P,.1,.1); go(P,'10/10')
    noise(P,.3,.1); go(P,'labels 30 teacher 10'); noise(P,.1,.3); go(P,'labels 10 teacher 30'); noise(P,0,0); go(P,'clean')

    # class-dependent (pair flip): wrong label = class+1, wrong teacher = output of a picture of class+1
    def pair(wl, wt, same=False):
        r=np.random.default_rng(0); o=r.permutation(P.N); nt=round(wt*P.N); nl=round(wl*P.N); P.y=P.truth.clone(); P.t=P.clean_targets.clone()
        lab=o[nt:nt+nl]; P.y[lab]=(P.truth[lab]+1)%10
        for i in o[:nt]:
            k=(int(P.truth[i])+1)%10; P.t[i]=P.clean_targets[int(r.choice(np.flatnonzero(P.truth.numpy()==k)))]
    pair(.3,.3); go(P,'30/30 pair flip, class+1')
    pair(.3,0); go(P,'30 labels pair flip, good teacher')
    # weak teachers: MLP trained on few clean pool pictures / on pool with noisy labels
    from trainables.pictures import as_tensor, normalise
    px=normalise(as_tensor(P.dataset.pool.images[:]),as_tensor(P.assets.mean),as_tensor(P.assets.std)).flatten(1); py=as_tensor(P.dataset.pool.labels)
    def teacher(n, ep, wrong, hid=128, seed=0):
        g=torch.Generator().manual_seed(seed); torch.manual_seed(seed); i=torch.randperm(len(px),generator=g)[:n]; yy=py[i].clone()
        w=torch.rand(n,generator=g)<wrong; yy[w]=torch.randint(0,10,(int(w.sum()),),generator=g)
        net=torch.nn.Sequential(torch.nn.Linear(64,hid),torch.nn.ReLU(),torch.nn.Linear(hid,10)); op=torch.optim.Adam(net.parameters(),2e-3)
        for _ in range(ep):
            for b in torch.randperm(n).split(20): op.zero_grad(); torch.nn.functional.cross_entropy(net(px[i][b]),yy[b]).backward(); op.step()
        with torch.no_grad(): return net(P.X), float((net(P.Te[0]).argmax(1)==P.Te[1]).float().mean())
    for nm,n,ep,wr in [('weak teacher: 30 clean pictures',30,60,0.),('weak teacher: 60 clean pictures',60,60,0.),('teacher on 800 with 30 % wrong labels, 60 epochs',800,60,.33),('teacher on 800 with 30 % wrong, 8 epochs',800,8,.33)]:
        for wl in (.3,0.):
            noise(P,wl,0); q,a=teacher(n,ep,wr); P.t=q; go(P,f'{nm} (test {a:.3f}), wrong labels {wl:g}')
