from fm import *
print(time.strftime('%X')); F=FM(); print('ready', time.strftime('%X'), 'teacher', F.assets.teacher_accuracy, flush=True)
F.train('fixed',{'weight':.346},.149,2.0,(0,1))
for k,T,lr in ((1.,2.,.149),(2.,2.,.149),(1.,4.,.149),(1.,1.,.149)): F.train('sample_norm_balance',{'balance':k},lr,T,(0,1))
print('attacks: constant only', flush=True)
for kw in (dict(weight_decay=.1),dict(weight_decay=.3),dict(label_smoothing=.2),dict(epochs=10)): F.train('fixed',{'weight':.346},.149,2.0,(0,1),**kw)
