"""Words that a caller or a configuration chooses from, each set once: for signatures, the command line and the checker
of folders. Imports nothing, for commands that start at once."""

from typing import Literal, get_args

TargetName = Literal["gpt2", "gelu", "llama", "lsa", "deltanet", "gemma", "neox", "qwen2"]
"""The targets that programs compile to (compiler/architectures/targets.py)."""
Optimize = Literal["depth", "width", "heads"]
"""What a program's graph is chosen for: fewest layers, the narrowest stream, or fewest layers with shared heads."""

Dtype = Literal["float32", "float64", "bfloat16", "float16"]
"""The precision that weights are made for, or run in."""

# Of a configuration --------------------------------------------------------------------------------

AttentionKind = Literal["softmax", "linear", "delta"]
"""Linear: a head multiplies query, key and value exactly; delta: it writes a matrix by the delta rule, and reads it."""
ActivationName = Literal["gelu_tanh", "silu", "gelu_erf", "none"]
"""What neurons are made of; none: there are no MLPs."""
NormKind = Literal["layernorm", "rmsnorm", "dividing", "none"]
"""Before every sublayer; dividing: a LayerNorm where a division uses it, and nowhere else."""
PositionKind = Literal["learned", "rotary"]
"""A table of positions, or pairs of dimensions that turn with the position."""
BlockKind = Literal["serial", "parallel"]
"""Whether a layer's MLP reads what its attention has written, or what its attention reads."""
Side = Literal["attention", "mlp"]
"""The sort of a sublayer."""
When = Literal["value", "begins", "ended", "after"]
"""Of a name: its value where it is assigned; of what a loop carries, as a pass begins or ended, or after the loop."""

# Of what is done with weights ----------------------------------------------------------------------

GuardMode = Literal["raise", "warn", "off"]
"""What happens where a value leaves its range, or an output is further off than the certificate says."""
Share = Literal["tasks", "weights"]
"""What several devices share: a batch's tasks, with all weights on each, or the weights, with all tasks on each."""
Library = Literal["huggingface", "transformerlens", "tokens", "onnx", "gguf", "circuit"]
"""That weights are exported to; a circuit is a file about them."""
Rows = Literal["all", "query"]
"""The outputs that a training's loss looks at."""
RateSchedule = Literal["cosine", "constant"]
"""How a training's rate goes on after its rise."""
STATE = "training"
"""In a trained folder, the folder of what is known of the training, and of the checkpoint with which it ended."""
Products = Literal["float32", "bfloat16"]
"""What training rounds the factors of its products of matrices to; sums stay in float32."""
OptimiserName = Literal["adam", "sgd"]
"""What moves the numbers in training; sgd: plain gradient descent."""
BaselineName = Literal["lstm", "gru", "linear_attention"]
"""What transformers are held against: recurrent networks and kernels in place of softmax."""
MODELS = ("transformer", *get_args(BaselineName))
"""What can be trained on a program's task."""
