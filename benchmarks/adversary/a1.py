from contest import *
P = Prob()
tc, tr = contest(P, 'recipe digits, dense grid (constant %d settings, rule %d)' % (len(consts()), len(snbs())))
print('next constants', [told(c) for c in tc[:6]]); print('next rules', [told(c) for c in tr[:6]])
_, er, hr = train(P, tr[:1], FRESH, keep=True)
# extras for the constant only
L2=[.2,.35,.5,.65,.8]; R2=[1e-3,2e-3,4e-3,8e-3,1.6e-2,4e-2]; T2=[2.,4.,8.,16.,64.]
for nm, more in [('ls', [dict(ls=x) for x in (.1,.3,.5,.7)]), ('wd adam', [dict(wd=x) for x in (1e-3,1e-2,5e-2)]), ('wd adamw', [dict(wd=x,decoupled=1) for x in (.1,1.,5.,20.)])]:
    C = [c for mo in more for c in consts(L2,R2,T2,**mo)]; t,v,_ = tune(P, C); _,e,h = train(P,t[:3],FRESH,keep=True)
    print(f'{nm}: {told(t[0])} val {v[0]:.2f} test {e[0].mean():.2f}; rule lead {cmp(hr[0],h[0])}', flush=True)
for ep in (8,15,60,120):
    C=consts(L2,R2,T2) if ep<60 else consts([.35,.5,.65],[5e-4,1e-3,2e-3,4e-3,1e-2],[4.,16.,64.]); t,v,_=tune(P,C,epochs=ep,top=6); _,e,h=train(P,t[:1],FRESH,keep=True,epochs=ep)
    print(f'{ep} epochs: {told(t[0])} val {v[0]:.2f} test {e[0].mean():.2f}; rule (30 epochs) lead {cmp(hr[0],h[0])}', flush=True)
# early stopping at the best validation epoch, each seed
C=consts(L2,[2e-3,4e-3,8e-3,1.6e-2,4e-2],T2); v,te=train(P,C,[0,1,2],each_epoch=True); b=np.argsort(-v.max(2).mean(1))[:6]
v2,te2=train(P,[C[i] for i in b],FRESH,each_epoch=True)
i=v2.argmax(2); e=np.take_along_axis(te2,i[...,None],2)[...,0]
for j in range(6): print('early stop', told(C[b[j]]), f'test {e[j].mean():.2f}; rule lead {(er[0]-e[j]).mean():+.2f} +- {1.96*(er[0]-e[j]).std(ddof=1)/30**.5:.2f} (seeds only)')
