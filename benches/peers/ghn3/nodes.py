"""ONNX graphs as GHN-3 reads graphs: one node for every weight, bias, normalisation and pool.

The primitives and the way they are joined are those of DeepNets-1M, which GHN-3 was made for.
Operators without a primitive, activations among them, are left out and their edges joined.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import networkx
from onnx_torch import Network, Node, Unsupported

POOLS = {"MaxPool": "max_pool", "AveragePool": "avg_pool"}
# DeepNets-1M has two normalisations. Like layer norm, group norm depends on no other image.
NORMS = {"BatchNormalization": "bn", "LayerNormalization": "ln", "GroupNormalization": "ln"}
AVERAGES = ("GlobalAveragePool", "ReduceMean")

Shape = tuple[int, ...]


@dataclass
class Layer:
    """Parameters of the network that GHN-3 predicts as those of one module.

    `shape` is the weight's in GHN-3, which holds position embeddings as images.
    """

    weight: str
    shape: Shape
    bias: str | None = None


@dataclass
class Vertex:
    primitive: str
    shape: Shape | None = None
    layer: int | None = None
    """The layer of which this is the weight or, if the primitive is "bias", the bias."""


@dataclass
class Nodes:
    """A network in the terms of GHN-3."""

    vertices: list[Vertex]
    distances: list[list[int]]
    """Entry [a][b] is the length of the shortest path from a to b, 0 where there is none."""
    layers: list[Layer]
    gains: list[str]
    """Parameters without a vertex: vectors that only multiply, such as layer scales."""
    statistics: list[str]
    """Running means and variances of batch norms."""

    def info(self) -> list[list]:
        """What GHN-3 is told of every vertex that has a shape."""
        last = len(self.layers) - 1
        rows = []
        for index, vertex in enumerate(self.vertices):
            if vertex.shape is None:
                continue
            is_bias = vertex.primitive == "bias"
            name = vertex.primitive
            if vertex.layer is not None:
                name = f"{vertex.layer}.{'bias' if is_bias else 'weight'}"
            classifies = vertex.layer == last
            flags = [classifies and not is_bias, classifies and is_bias]
            rows.append([index, name, vertex.primitive, vertex.shape, *flags])
        return rows


@dataclass
class Reader:
    """Walks the nodes of a network; every value knows the vertices that it comes from."""

    network: Network
    graph: networkx.DiGraph = field(default_factory=networkx.DiGraph)
    vertices: list[Vertex] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    gains: list[str] = field(default_factory=list)
    statistics: list[str] = field(default_factory=list)
    sources: dict[str, frozenset[int]] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    """Parameters by the values that hold them, as they are, transposed or in another shape."""

    def __post_init__(self) -> None:
        self.parameters |= {name: name for name in self.network.shapes}
        self.sources[self.network.image] = self.add("input", ())
        averages = [node for node in self.network.nodes if node.operator in AVERAGES]
        self.last_average = averages[-1] if averages else None

    def add(self, primitive: str, sources: Iterable[int], **further) -> frozenset[int]:
        index = len(self.vertices)
        self.vertices.append(Vertex(primitive, **further))
        self.graph.add_node(index)
        self.graph.add_edges_from((source, index) for source in sources)
        return frozenset([index])

    def layer(self, primitive: str, sources: Iterable[int], layer: Layer) -> frozenset[int]:
        self.layers.append(layer)
        number = len(self.layers) - 1
        return self.add(primitive, sources, shape=layer.shape, layer=number)

    def linear(self, primitive: str, node: Node) -> frozenset[int]:
        """A convolution or linear map, and the bias that it may read."""
        x, weight, *biases = node.inputs
        weight = self.parameters[weight]
        layer = Layer(weight, self.network.shapes[weight])
        at = self.layer(primitive, self.of(x), layer)
        return self.bias(at, self.parameters[biases[0]]) if biases else at

    def bias(self, at: frozenset[int], name: str) -> frozenset[int]:
        (weight,) = at
        number = self.vertices[weight].layer
        shape = self.network.shapes[name]
        if number is None or len(shape) != 1 or self.layers[number].bias:
            raise Unsupported(f"parameter {name}: added to no linear map")
        self.layers[number].bias = name
        return self.add("bias", at, shape=shape, layer=number)

    def of(self, *values: str) -> frozenset[int]:
        return frozenset().union(*(self.sources.get(value, ()) for value in values))

    def joined(self, primitive: str, sources: frozenset[int]) -> frozenset[int]:
        return self.add(primitive, sources) if len(sources) > 1 else sources

    def parameterised(self, node: Node) -> frozenset[int] | None:
        """Vertices of a node that reads parameters; none where it only rearranges one."""
        read = [self.parameters[name] for name in node.inputs if name in self.parameters]
        own = self.of(*node.inputs)
        shape = self.network.shapes[read[0]]
        match node.operator:
            case "Transpose" | "Reshape":
                self.parameters[node.outputs[0]] = read[0]
                return None
            case "Conv" if node.attributes.get("group", 1) > 1:
                dilated = min(node.attributes.get("dilations", [1])) > 1
                return self.linear("dil_conv" if dilated else "sep_conv", node)
            case "Conv" | "Gemm":
                return self.linear("conv", node)
            case "MatMul" if node.inputs[1] in self.parameters:
                return self.linear("conv", node)
            case operator if operator in NORMS:
                weight, bias, *statistics = read
                self.statistics += statistics
                return self.layer(NORMS[operator], own, Layer(weight, shape, bias))
            case "Add" if len(shape) == 1 and len(own) == 1:
                return self.bias(own, read[0])
            case "Add" if len(shape) == 3 and math.isqrt(shape[1]) ** 2 == shape[1]:
                side = math.isqrt(shape[1])
                layer = Layer(read[0], (1, shape[2], side, side))
                return self.joined("sum", own | self.layer("pos_enc", [0], layer))
            case "Mul" if math.prod(shape) == max(shape):
                self.gains.append(read[0])
                return own
        raise Unsupported(f"parameter {read[0]}, read by {node.operator}")

    def plain(self, node: Node) -> frozenset[int]:
        """Vertices of a node without parameters."""
        own = self.of(*node.inputs)
        match node.operator:
            case operator if operator in POOLS:
                shape = (1, 1, *node.attributes["kernel_shape"])
                return self.add(POOLS[operator], own, shape=shape)
            case "GlobalAveragePool" | "ReduceMean" if node is self.last_average:
                # Those before it squeeze an image for "cse", which stands for them.
                return self.add("glob_avg", own)
            case "Softmax":
                return self.add("msa", own)
            case "MatMul":
                # "msa" stands for all of attention: the values enter it as queries and keys do.
                attention = [at for at in own if self.vertices[at].primitive == "msa"]
                if len(attention) == 1:
                    self.graph.add_edges_from((at, attention[0]) for at in own - {*attention})
                    return frozenset(attention)
            case "Mul":
                # The product of one value with a function of itself is an activation.
                return self.joined("cse", own)
            case "Add":
                return self.joined("sum", own)
            case "Concat":
                return self.joined("concat", own)
        return own

    def read(self, classes: int) -> Nodes:
        for node in self.network.nodes:
            has_parameters = any(name in self.parameters for name in node.inputs)
            sources = self.parameterised(node) if has_parameters else self.plain(node)
            if sources is not None:
                self.sources |= dict.fromkeys(node.outputs, sources)
        if not self.layers or self.layers[-1].shape[0] != classes:
            raise Unsupported(f"the last layer does not have {classes} outputs")
        return self.ordered()

    def ordered(self) -> Nodes:
        """In topological order, the input first, as GHN-3 expects."""
        order = list(networkx.lexicographical_topological_sort(self.graph))
        place = {index: at for at, index in enumerate(order)}
        distances = [[0] * len(order) for _ in order]
        # Those above 50 are left out, as in GHN-3's "virtual edges".
        for start, ends in networkx.all_pairs_shortest_path_length(self.graph, cutoff=50):
            for end, distance in ends.items():
                distances[place[start]][place[end]] = distance
        vertices = [self.vertices[index] for index in order]
        return Nodes(vertices, distances, self.layers, self.gains, self.statistics)


def nodes_of(network: Network, classes: int) -> Nodes:
    return Reader(network).read(classes)
