"""What the inputs of a model read: a class for each kind of `data.inputs`, in a module of its own."""
