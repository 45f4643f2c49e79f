import pytest
import torch

from polyreel.models.devices import CPU, choose_device, name_of, open_device

HAS_GPU = torch.cuda.is_available()


def test_auto_takes_a_gpu_only_where_there_is_one():
    assert open_device("auto").type == ("cuda" if HAS_GPU else "cpu")
    assert open_device("cpu") is CPU and name_of(CPU) == "cpu"


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"device 'cuda' is asked for, but torch finds no GPU; .* name device 'cpu'"):
        open_device("cuda")


def test_a_choice_says_why():
    assert choose_device("cpu").reason == "as asked"
    choice = choose_device("auto")
    assert choice.device.type == ("cuda" if HAS_GPU else "cpu")
    expected = "the first GPU that CUDA shows" if HAS_GPU else f"torch {torch.__version__} "
    assert choice.reason.startswith(expected)
