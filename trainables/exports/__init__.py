"""Networks as files that run without this package and without the class that built them: torch.export and ONNX."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
