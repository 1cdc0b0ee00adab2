from a2 import *
L=[5e-4,1e-3,2e-3,4e-3,8e-3,2e-2,4e-2]; T4=[1.,4.,16.,64.]
C = consts([.15,.3,.45,.6,.75,.9],L,T4); R = snbs([.3,1.,2.,4.],L,T4)
for nm,wl,wt,ov in (('30/30 independent',.3,.3,1),('30/30 disjoint',.3,.3,0)):
    leads=[]
    for split in (0,1,2,3):
        P = Prob(["corruption.teacher_share=0.0","corruption.label_share=0.0",f"data.split_seed={split}"])
        for cs in (5,6):
            noise(P,wl,wt,seed=cs,overlap=bool(ov)); tc,_,_=tune(P,C,(0,1),6,range(6)); tr,_,_=tune(P,R,(0,1),6,range(6))
            _,ec,_=train(P,tc[:1],FRESH[:15],keep=True); _,er,_=train(P,tr[:1],FRESH[:15],keep=True); leads.append((er-ec).mean())
            print(f'{nm} split {split} corruption {cs} {sizes(P)}: {told(tc[0])} {ec.mean():.2f} | {told(tr[0])} {er.mean():.2f} | lead {leads[-1]:+.2f}', flush=True)
    l=np.array(leads); print(f'== {nm}: mean {l.mean():+.2f} sd {l.std(ddof=1):.2f}, min {l.min():+.2f} max {l.max():+.2f}, 95 % interval of the mean over {len(l)} draws +-{2.365*l.std(ddof=1)/len(l)**.5:.2f}', flush=True)
