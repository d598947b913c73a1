import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from detect.errors import ExplanationError
from detect.explain.shuffled import shuffled_weights


def test_weights_are_elsewhere_in_their_own_tensor_and_all_else_stays() -> None:
    weight, bias = np.arange(12, dtype=np.float32).reshape(3, 4), np.arange(4, dtype=np.float32)
    kinds: dict[str, NDArray[np.generic]] = {"weight": weight, "bias": bias, "shape": np.array([[1, 2]], np.int64)}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["y"])],
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in kinds.items()],
    )
    content = helper.make_model(graph).SerializeToString()
    one, same, other = (
        {each.name: numpy_helper.to_array(each) for each in onnx.load_from_string(mixed).graph.initializer}
        for mixed in (shuffled_weights(content, source="toy", seed=seed) for seed in (1, 1, 2))
    )
    assert sorted(one["weight"].ravel()) == list(range(12))
    assert not np.array_equal(one["weight"], weight)
    assert np.array_equal(one["weight"], same["weight"])
    assert not np.array_equal(one["weight"], other["weight"])
    assert one["bias"].tolist() == [0, 1, 2, 3]
    assert one["shape"].tolist() == [[1, 2]]


def test_what_is_no_onnx_is_refused() -> None:
    with pytest.raises(ExplanationError, match=r"mine\.onnx: no ONNX file"):
        shuffled_weights(b"no model", source="mine.onnx")
