"""The families side by side: each problem beside the PyTorch expression that computes the same."""

import dataclasses
from typing import Callable

import torch
import torch.nn.functional as F

import lathe_c

TYPES = {torch.float32: lathe_c.F32, torch.bfloat16: lathe_c.BF16, torch.float16: lathe_c.F16,
         torch.int32: lathe_c.I32, torch.int64: lathe_c.I64}


@dataclasses.dataclass
class Case:
    name: str            # the family's row in the table
    problem: str         # the problem line
    expression: str      # what PyTorch runs, as a reader would write it
    torch_call: Callable
    inputs: list         # tensors, in the problem's order
    outputs: list
    single_pass: bool = False  # one read, one write: PyTorch is at the limit, too
    tolerance: float = 2e-5

    def operands(self):
        def triple(tensor):
            return tensor.data_ptr(), TYPES[tensor.dtype], list(tensor.shape)
        return [triple(t) for t in self.inputs], [triple(t) for t in self.outputs]


def rotate_half(x):
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


def make_cases(rows: int, width: int, mlp: int, heads: int, dim: int):
    """f32 cases for `rows` tokens; deterministic inputs."""
    torch.manual_seed(rows)
    def x(w=width): return torch.randn(rows, w)
    def y(w=width): return torch.zeros(rows, w)
    w, b = torch.randn(width), torch.randn(width)
    a, r, g, u = x(), x(), x(mlp), x(mlp)
    cases = []

    def add(name, problem, expression, call, inputs, outputs, **more):
        cases.append(Case(name, f"{problem}", expression, call, inputs, outputs, **more))

    add("rms_norm", f"rms_norm rows={rows} width={width}", "F.rms_norm(x, (n,), w, 1e-6)",
        lambda: F.rms_norm(a, (width,), w, 1e-6), [a, w], [y()])
    add("add + rms_norm", f"rms_norm rows={rows} width={width} prologue=add(x,r) keep=true",
        "h = x + r; F.rms_norm(h, (n,), w, 1e-6)",
        lambda: (h := a + r, F.rms_norm(h, (width,), w, 1e-6)), [a, r, w], [y(), y()])
    add("layer_norm", f"layer_norm rows={rows} width={width}", "F.layer_norm(x, (n,), w, b, 1e-6)",
        lambda: F.layer_norm(a, (width,), w, b, 1e-6), [a, w, b], [y()])
    add("normalize", f"normalize rows={rows} width={width}", "F.normalize(x, dim=-1)",
        lambda: F.normalize(a, dim=-1), [a], [y()])
    add("softmax", f"softmax rows={rows} width={width}", "torch.softmax(x, -1)",
        lambda: torch.softmax(a, -1), [a], [y()])
    add("log_softmax", f"log_softmax rows={rows} width={width}", "torch.log_softmax(x, -1)",
        lambda: torch.log_softmax(a, -1), [a], [y()])
    add("gelu tanh", f"gelu rows={rows} width={width}", "F.gelu(x, approximate='tanh')",
        lambda: F.gelu(a, approximate="tanh"), [a], [y()])
    add("gelu erf", f"gelu rows={rows} width={width} approximate=none", "F.gelu(x)",
        lambda: F.gelu(a), [a], [y()])
    add("silu", f"silu rows={rows} width={width}", "F.silu(x)", lambda: F.silu(a), [a], [y()])
    add("swiglu", f"swiglu rows={rows} width={mlp}", "F.silu(g) * u",
        lambda: F.silu(g) * u, [g, u], [y(mlp)])
    add("relu", f"relu rows={rows} width={width}", "torch.relu(x)",
        lambda: torch.relu(a), [a], [y()], single_pass=True)
    add("add", f"elementwise rows={rows} width={width} expr=add(x,r)", "x + r",
        lambda: a + r, [a, r], [y()], single_pass=True)
    add("chain", f"elementwise rows={rows} width={width} expr=add(mul(silu(x),r),s)",
        "F.silu(x) * r + s", lambda: F.silu(a) * r + b2, [a, r, (b2 := x())], [y()])

    positions = 4096
    inverse = 5e6 ** (-torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    angles = torch.arange(positions, dtype=torch.float32)[:, None] * inverse
    cos, sin = angles.cos().contiguous(), angles.sin().contiguous()
    q = torch.randn(rows, heads, dim)
    ids = torch.randint(0, positions, (rows,), dtype=torch.int32)
    long_ids = ids.long()
    full_cos = torch.cat((cos, cos), -1)[long_ids].unsqueeze(1)
    full_sin = torch.cat((sin, sin), -1)[long_ids].unsqueeze(1)
    add("rope", f"rope rows={rows} kind=rope heads={heads} dim={dim}",
        "x*cos + rotate_half(x)*sin  (cos, sin gathered beforehand)",
        lambda: q * full_cos + rotate_half(q) * full_sin, [q, cos, sin, ids], [torch.zeros_like(q)])
    ids3 = torch.randint(0, positions, (3, rows), dtype=torch.int32)
    axis = torch.tensor([j % 3 if j % 3 != 0 and j < 3 * 20 else 0 for j in range(dim // 2)])
    pick = ids3.long()[axis, :].T  # [rows, dim/2]
    m_cos = torch.gather(cos, 0, pick)
    m_sin = torch.gather(sin, 0, pick)
    m_cos = torch.cat((m_cos, m_cos), -1).unsqueeze(1)
    m_sin = torch.cat((m_sin, m_sin), -1).unsqueeze(1)
    head_weight = torch.randn(dim)

    def norm_rope():
        n = F.rms_norm(q, (dim,), head_weight, 1e-6)
        return n * m_cos + rotate_half(n) * m_sin

    add("head norm + M-RoPE",
        f"rope rows={rows} kind=mrope heads={heads} dim={dim} section=24:20:20 norm=true",
        "n = F.rms_norm(x, (d,), w, 1e-6); n*cos + rotate_half(n)*sin", norm_rope,
        [q, cos, sin, ids3, head_weight], [torch.zeros_like(q)])
    table = torch.randn(8192, width)
    tokens = torch.randint(0, 8192, (rows,), dtype=torch.int32)
    long_tokens = tokens.long()
    add("embedding", f"embedding rows={rows} width={width}", "F.embedding(ids, table)",
        lambda: F.embedding(long_tokens, table), [table, tokens], [y()], single_pass=True)
    add("cast to bf16", f"elementwise rows={rows} width={width} expr=x out=bf16", "x.to(torch.bfloat16)",
        lambda: a.to(torch.bfloat16), [a], [torch.zeros(rows, width, dtype=torch.bfloat16)],
        single_pass=True, tolerance=1e-2)
    return cases
