"""Where training and evaluation images come from."""

import tmfnet_jax  # noqa: F401  sets OpenCV's limits before anything imports cv2
