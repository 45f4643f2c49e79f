import pytest
import torch

from polyreel.models.pieces import PieceTable


@pytest.fixture
def vectors():
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("learnt", [None, [1, 4, 5], [0], list(range(7))])
def test_lookup_is_the_table_whatever_learns(vectors, learnt):
    table = PieceTable(vectors.clone(), None if learnt is None else torch.tensor(learnt))
    pieces = torch.tensor([[6, 5, 4], [3, 2, 1], [0, 0, 6]])
    torch.testing.assert_close(table(pieces), vectors[pieces])


@pytest.mark.parametrize("learnt", [None, [1, 4, 5]])
def test_mean_equals_the_slow_loop(vectors, learnt):
    table = PieceTable(vectors.clone(), None if learnt is None else torch.tensor(learnt))
    texts = [[6, 5, 4, 4], [3], [2, 1]]
    pieces = torch.tensor([piece for text in texts for piece in text], dtype=torch.int32)
    offsets = torch.tensor([0, 4, 5, 7], dtype=torch.int32)
    expected = torch.stack([sum(vectors[piece] for piece in text) / len(text) for text in texts])
    torch.testing.assert_close(table.mean(pieces, offsets), expected)


def test_only_the_chosen_pieces_learn(vectors):
    table = PieceTable(vectors.clone(), torch.tensor([1, 4]))
    optimizer = torch.optim.Adam(table.parameters(), lr=0.1)
    table(torch.arange(7)).square().sum().backward()
    optimizer.step()
    has_moved = (table(torch.arange(7)) != vectors).any(1)
    assert has_moved.tolist() == [False, True, False, False, True, False, False]


def test_adam_moves_the_chosen_pieces_as_if_all_learnt(vectors):
    torch.manual_seed(0)
    few, all_of_them = PieceTable(vectors.clone(), torch.tensor([1, 4, 5])), PieceTable(vectors.clone())
    steps = [torch.tensor(pieces) for pieces in ([1, 4], [5, 5], [1, 5], [4, 1])]
    target = torch.randn(4)
    for table in (few, all_of_them):
        optimizer = torch.optim.Adam(table.parameters(), lr=0.1)
        for pieces in steps:
            optimizer.zero_grad()
            (table(pieces) - target).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(few(torch.arange(7)), all_of_them(torch.arange(7)))


@pytest.mark.parametrize("learnt", [None, [1, 4, 5]])
def test_an_unfilled_table_takes_a_state(vectors, learnt):
    table = PieceTable(vectors.clone(), None if learnt is None else torch.tensor(learnt))
    state = table.state_dict()
    again = PieceTable.unfilled({name: tensor.shape for name, tensor in state.items()})
    again.load_state_dict(state)
    assert torch.equal(again(torch.arange(7)), vectors)
