"""What trainers that stand on torch share: devices, precision, images, loop, exact checkpoints, metrics.

Needs torch, torchvision, torchmetrics, Pillow and NumPy; runs inside an environment and is never imported by the host.
"""
