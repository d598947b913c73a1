"""Where in a picture a network's answer comes from: numbers and maps. torch only in files named `torch_*`."""
