from fm import *
from trainables.config import CorruptionSettings as CS
F=FM()
def row(name, corr, lst, seeds=(0,)):
    print('##', name, flush=True); return [F.train(*c, seeds, corruption=corr) for c in lst]
fx=lambda w,lr=.149,T=2.: ('fixed',{'weight':w},lr,T); sn=lambda k,lr=.149,T=2.: ('sample_norm_balance',{'balance':k},lr,T)
row('labels only 30 %', CS(unit='sample',label_share=.3), [fx(1.),sn(1.),sn(4.)])
row('10/10', CS(unit='sample',label_share=.1,teacher_share=.1), [fx(.5),sn(1.),fx(.7)])
