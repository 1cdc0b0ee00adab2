from fm3 import *
from trainables.pictures import as_tensor, normalise
S=(100,101); old=F.assets; mean,std=as_tensor(old.mean),as_tensor(old.std)
def weak(n, seed=0, epochs=15):
    torch.manual_seed(seed); net=F.data.create_student(F.config.student); i=torch.randperm(len(F.dataset.pool.labels))[:n]
    X=normalise(as_tensor(F.dataset.pool.images[i.numpy()]),mean,std); y=as_tensor(F.dataset.pool.labels[i.numpy()]); op=torch.optim.AdamW(net.parameters(),5e-3)
    for _ in range(epochs):
        for b in torch.randperm(n).split(50): op.zero_grad(); torch.nn.functional.cross_entropy(net(X[b]),y[b]).backward(); op.step()
    net.eval()
    with torch.no_grad(): return net(normalise(as_tensor(old.train.images[:]),mean,std)).numpy()
tg=np.array(old.train_targets); q=weak(300); truth=old.train.labels; print('## weak teacher, 300 clean pictures, right on', (q.argmax(1)==truth).mean())
new=dataclasses.replace(old,train_targets=q[None].astype(tg.dtype)); F.set(new)
for nm,c,grid in (('labels 30 % wrong',CS(unit='sample',label_share=.3),[fx(.3),fx(.5),fx(.7),fx(.5,.149,1.)]),('labels right',None,[fx(.05),fx(.2),fx(.4)])):
    print('#',nm); bs=[F.train(*x,S,corruption=c) for x in grid]; as_=[F.train(*sn(k),S,corruption=c) for k in (.3,1.)]
    b=max(bs,key=lambda r:r[0].mean()); a=max(as_,key=lambda r:r[0].mean()); cmp('rule best kappa on val - best constant on val',a,b)
