"""What a policy's ONNX graph may hold, read from its bytes before onnxruntime sees them.

A graph can name files beside it (external data), operators of other libraries (custom domains), functions and graphs
inside graphs. A policy has none of these: anything that is not on the lists below is refused. Field numbers are those
of onnx.proto3 (ONNX IR, opset 18); the wire format is protobuf's: a key of (field << 3 | kind), then a varint, 8 bytes,
a length and its bytes, or 4 bytes. Read by hand, so that serving needs no `onnx`.
"""

from collections.abc import Iterator

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_VARINT_BYTES_MAX = 10
_DOMAINS = {b"", b"ai.onnx"}
_OPSETS = range(13, 23)
# Pure functions of their inputs: no randomness, no control flow, no text.
OPERATORS = {
    *("Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "CumSum"),
    *("Div", "Equal", "Exp", "Expand", "Flatten", "Gather", "GatherElements", "Gemm", "Greater", "GreaterOrEqual"),
    *("Identity", "IsNaN", "Less", "LessOrEqual", "Log", "MatMul", "Max", "Mean", "Min", "Mul", "Neg", "Not", "Or"),
    *("Pow", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape", "Shape", "Sigmoid", "Slice"),
    *("Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "TopK", "Transpose", "Unsqueeze", "Where"),
}
_OPERATORS = {name.encode() for name in OPERATORS}


class _Strange(Exception):
    """What in the graph is not on the lists."""


def check_graph(content: bytes) -> str | None:
    """What a graph holds that no policy has, in words that follow its name; None where all is as it should be."""
    try:
        _check_model(content)
    except _Strange as strange:
        return str(strange)
    return None


def _check_model(content: bytes) -> None:
    graphs = 0
    for field, value in _fields(content):
        match field, value:
            case 7, bytes():
                graphs += 1
                _check_nodes(value)
            case 8, bytes():
                _check_opset(value)
            case 1 | 2 | 3 | 4 | 5 | 6, _:
                continue
            case _:
                raise _Strange(f"holds field {field} of a model (training, functions or notes), which no policy has")
    if graphs != 1:
        raise _Strange(f"holds {graphs} graphs, not one")


def _check_opset(content: bytes) -> None:
    found = dict(_fields(content))
    if found.get(1, b"") not in _DOMAINS or found.get(2) not in _OPSETS:
        raise _Strange(f"imports operators of domain {found.get(1, b'')!r}, version {found.get(2)!r}")


def _check_nodes(graph: bytes) -> None:
    for field, value in _fields(graph):
        match field, value:
            case 1, bytes():
                _check_node(value)
            case 5, bytes():
                _check_tensor(value)
            case 2 | 10 | 11 | 12 | 13, _:
                continue
            case _:
                raise _Strange(f"holds field {field} of a graph, which no policy has")


def _check_node(node: bytes) -> None:
    operator: bytes | int = b""
    for field, value in _fields(node):
        match field, value:
            case 4, _:
                operator = value
            case 5, bytes():
                _check_attribute(value)
            case 7, _:
                if value not in _DOMAINS:
                    raise _Strange(f"holds an operator of domain {value!r}")
            case 1 | 2 | 3 | 6, _:
                continue
            case _:
                raise _Strange(f"holds field {field} of a node, which no policy has")
    if operator not in _OPERATORS:
        raise _Strange(f"holds operator {operator!r}, which no policy has")


def _check_attribute(attribute: bytes) -> None:
    for field, value in _fields(attribute):
        match field, value:
            case 5, bytes():
                _check_tensor(value)
            case 1 | 2 | 3 | 4 | 7 | 8 | 9 | 20, _:
                continue
            case _:
                raise _Strange(f"holds field {field} of an attribute (graphs in graphs), which no policy has")


def _check_tensor(tensor: bytes) -> None:
    for field, value in _fields(tensor):
        if field == 13 or (field == 14 and value != 0):
            raise _Strange("keeps data in another file")
        if field not in {1, 2, 4, 5, 7, 8, 9, 10, 14}:
            raise _Strange(f"holds field {field} of a tensor, which no policy has")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field, value) of each entry of a protobuf message: a number, or its bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            number, place = _varint(message, place)
            yield field, number
            continue
        if kind == _LENGTH:
            length, place = _varint(message, place)
        elif kind in {_EIGHT, _FOUR}:
            length = 8 if kind == _EIGHT else 4
        else:
            raise _Strange("is not a message of protobuf")
        if place + length > len(message):
            raise _Strange("is cut off")
        yield field, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    number = 0
    for index in range(_VARINT_BYTES_MAX):
        if place + index >= len(message):
            raise _Strange("is cut off")
        byte = message[place + index]
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, place + index + 1
    raise _Strange("is not a message of protobuf")
