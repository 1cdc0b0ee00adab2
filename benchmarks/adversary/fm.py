import sys, time, pathlib, numpy as np, torch, pickle
torch.set_num_threads(1)
sys.path.insert(0,'.'); sys.path.insert(0,'./benchmarks')
import scaffold, dataclasses
from search.settings import load_config, default_cache
from trainables.device import select_compute
from trainables.training import DeviceAssets, Distillation
from trainables.teacher import compute_logits
from trainables.evaluation import evaluate
from trainables.config import PolicySettings
from trainables.memory import keep_freed_memory
keep_freed_memory()
class FM:
    def __init__(s, overrides=()):
        s.config = load_config('unreliable-samples', ["device.device=cpu", *overrides]); s.compute = select_compute(s.config.device)
        s.dataset, s.teacher, s.assets = scaffold.prepare(s.config, pathlib.Path(default_cache()))
        s.set(s.assets)
    def set(s, assets):
        s.assets = assets; s.data = DeviceAssets(assets, s.compute)
        s.test = s.data.evaluation_set(s.dataset.test, np.zeros((len(s.dataset.test.labels),10),np.float32))
    def train(s, family, params, lr, T, seeds, corruption='keep', **training):
        b = s.config.base_trial()
        up = {'seeds': tuple(seeds), 'policy': PolicySettings(family=family, parameters=params), 'temperature': T, 'training': b.training.model_copy(update={'learning_rate': lr, **training}), 'evaluations': 1, 'trace_points': 2}
        if corruption != 'keep': up['corruption'] = corruption
        t0=time.time(); d = Distillation(b.model_copy(update=up), s.data)
        for _ in d.records(): pass
        val = np.array([100*r.validation_accuracy for r in d.results])
        hits=[]
        for r in d.replicates:
            e = evaluate(r.student, s.test, (), by_sample=True); a = e.samples['accuracy']; hits.append(np.array(a.values(), dtype=float))
        h = np.stack(hits) if hits[0].ndim else None
        te = 100*h.mean(1)
        print(f'{family} {params} lr={lr:g} T={T:g} {training} seeds {list(seeds)} val {val.mean():.2f} test {te.round(2)} mean {te.mean():.2f}  {time.time()-t0:.0f} s', flush=True)
        return val, h
