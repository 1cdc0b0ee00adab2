# other draws of the corruption and other splits: constants retuned per draw (small grid), and rule as tuned on the recipe
from a2 import *
C = consts([.2,.4,.6,.8],[1e-3,3e-3,8e-3],[16.,64.]); R = snbs([1.,2.],[5e-3,1.5e-2,4e-2],[16.,64.])
P=None; leads=[]
for split in (0,1,2):
    P = Prob(["corruption.teacher_share=0.0","corruption.label_share=0.0",f"data.split_seed={split}"])
    for cs in (5,6,7):
        noise(P,.3,.3,seed=cs)
        tc,_,_=tune(P,C,(0,1),4,range(5)); tr,_,_=tune(P,R,(0,1),4,range(5))
        _,ec,hc=train(P,tc[:1],FRESH[:15],keep=True); _,er,hr=train(P,tr[:1],FRESH[:15],keep=True)
        _,e0,h0=train(P,[dict(kind='snb',kappa=1.,lr=tc[0]['lr'],T=tc[0]['T'])],FRESH[:15],keep=True)
        leads.append((er-ec).mean()); print(f'split {split} corruption {cs}: {told(tc[0])} {ec.mean():.2f} | {told(tr[0])} {er.mean():.2f} | lead {leads[-1]:+.2f}; kappa=1 at the constant\'s lr,T {(e0-ec).mean():+.2f}', flush=True)
l=np.array(leads); print(f'over {len(l)} draws: mean {l.mean():+.2f} sd {l.std(ddof=1):.2f} min {l.min():+.2f} max {l.max():+.2f}')
# sizes
for ov in (["student.options.hidden=[8]"],["student.options.hidden=[256]"],["data.train_size=800"],["data.train_size=100"],["data.train_size=800","student.options.hidden=[256]"]):
    P=Prob(ov); contest(P,'recipe with '+' '.join(ov)+' | '+sizes(P),consts([.2,.4,.6,.8,1.],[1e-3,3e-3,8e-3,2e-2],[4.,16.,64.]),snbs([1.,2.],[1e-3,4e-3,1e-2,4e-2],[4.,16.,64.]),favour=False, first=(0,1), top=6, seeds=range(5))
# noisy validation labels: 30 % of 500 exchanged, both tuned on them, judged on clean test
P=Prob(); r=np.random.default_rng(3); i=r.permutation(500)[:150]; vy=P.V[1].clone(); vy[i]=vy[np.roll(i,1)]
contest(P,'validation labels 30 % wrong too',C,R,favour=False,first=(0,1),top=6,seeds=range(5),V=(P.V[0],vy))
