"""specbuild: recurrent-convolutional models as short YAML specs."""
