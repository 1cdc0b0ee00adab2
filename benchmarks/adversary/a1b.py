from contest import *
P = Prob(); tr=[dict(kind='snb',kappa=1.,lr=.04,T=64.)]; F20=FRESH
_, er, hr = train(P, tr, F20, keep=True)
C0 = lambda **m: consts([.35,.5,.65],[2e-3,4e-3,8e-3],[16.,64.],**m)
def one(nm, C, **kw):
    t,v,_=tune(P,C,(0,1,2),4,range(6),**kw); _,e,h=train(P,t[:1],F20,keep=True,**kw); print(f'{nm}: {told(t[0])} val {v[0]:.2f} test {e[0].mean():.2f}; rule (recipe training) lead {cmp(hr[0],h[0])}', flush=True)
one('adamw wd', [c for x in (.1,1.,5.,20.) for c in C0(wd=x,decoupled=1)])
for ep in (15,60): one(f'{ep} epochs', C0(), epochs=ep)
C=C0(); v,te=train(P,C,F20[:15],each_epoch=True); i=v.argmax(2); e=np.take_along_axis(te,i[...,None],2)[...,0]; j=v.max(2).mean(1).argmax()
d=er[0][:15]-e[j]; print(f'early stop, best validation epoch per seed: {told(C[j])} test {e[j].mean():.2f}, best of 18 on test {e.mean(1).max():.2f}; rule lead {d.mean():+.2f} +- {2.14*d.std(ddof=1)/15**.5:.2f} (seeds)')
one('T 128, 256', consts([.35,.5,.65],[2e-3,4e-3,8e-3],[128.,256.]))
one('120 epochs', consts([.4,.6],[1e-3,2e-3,4e-3],[64.]), epochs=120)
