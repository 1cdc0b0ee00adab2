"""Models by name. Importing this loads no torch; `create_model` does.

mlp, cnn, small-resnet: small networks for small pictures. resnet20 … resnet110: He et al. 2015 for CIFAR.
wrn-D-W: Wide ResNets. torchvision/NAME: any classification model of torchvision, with random weights.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
