from fm3 import *
c='keep'; S=(100,101)
print('## recipe: regularised constants'); a=F.train(*sn(1.),S)
for nm,kw,args in (('wd .1',dict(weight_decay=.1),fx(.346)),('wd .5',dict(weight_decay=.5),fx(.346)),('ls .2',dict(label_smoothing=.2),fx(.346)),('10 epochs',dict(epochs=10),fx(.346)),('40 epochs',dict(epochs=40),fx(.346,.1)),('T 4',{},fx(.5,.149,4.)),('lr .3',{},fx(.4,.3))):
    b=F.train(*args,S,**kw); cmp(nm,a,b)
