from fm import *
from search.evidence.statistics.two_noises import two_noises
from trainables.config import CorruptionSettings as CS
import dataclasses
F=FM(); S=(100,101,102)
fx=lambda w,lr=.149,T=2.: ('fixed',{'weight':w},lr,T); sn=lambda k,lr=.149,T=2.: ('sample_norm_balance',{'balance':k},lr,T)
def cmp(nm,a,b):
    d=100*(a[1]-b[1]); t=two_noises(d); h=t.half_width(.05); print(f'   {nm}: {d.mean():+.2f} ({d.mean()-h:+.2f} to {d.mean()+h:+.2f})',flush=True)
if __name__=='__main__':
    print('## recipe, corruption seed 1'); c=CS(unit='sample',label_share=.3,teacher_share=.3,seed=1); a=F.train(*sn(1.),S,corruption=c); b=F.train(*fx(.346),S,corruption=c); cmp('rule - constant',a,b)
    print('## independent 30/30'); r=np.random.default_rng(0); N=2000; o=r.permutation(N)[:600]; o2=r.permutation(N)[:600]
    old=F.assets; lab=old.train.labels.copy(); lab[o]=old.train.labels[np.roll(o,1)]; tg=np.array(old.train_targets); k=np.arange(N); k[o2]=np.roll(o2,1); tg=tg[:,k]
    F.set(dataclasses.replace(old,train=dataclasses.replace(old.train,labels=lab),train_targets=tg))
    a=F.train(*sn(1.),S,corruption=None); b=F.train(*fx(.346),S,corruption=None); cmp('rule - constant .346',a,b); b2=F.train(*fx(.5),S,corruption=None); cmp('rule - constant .5',a,b2)
    F.set(old); print('## labels only'); c=CS(unit='sample',label_share=.3); a=F.train(*sn(4.),S,corruption=c); b=F.train(*fx(1.),S,corruption=c); cmp('rule kappa 4 - constant 1',a,b)
