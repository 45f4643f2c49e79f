from dataclasses import replace
from random import Random

import pytest

from polyreel.world.messages import Compared, Mention, Moves, Seen, Travels, choose_messages, garble
from polyreel.world.motions import plan_paths
from polyreel.world.scenes import COLOURS, MOTIONS, RELATIONS, SHAPES, SIZES, Scene, Thing, imagine_scenes

STAR = Thing(shape="star", colour="red", size="small")
HOUSE = Thing(shape="house", colour="blue", size="large")


def test_scenes_are_distinct_and_settled_by_the_seed():
    scenes = imagine_scenes(200, 3)
    assert len(set(scenes)) == 200
    assert scenes == imagine_scenes(200, 3)
    assert scenes[:50] == imagine_scenes(50, 3)
    assert scenes[:50] != imagine_scenes(50, 4)


def test_scenes_use_everything_there_is():
    scenes = imagine_scenes(300, 0)
    assert {scene.thing.shape for scene in scenes} == set(SHAPES)
    assert {scene.thing.colour for scene in scenes} == set(COLOURS)
    assert {scene.motion for scene in scenes} == set(MOTIONS)
    assert {scene.relation for scene in scenes} == {None, *RELATIONS}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"relation": None}, "give both or neither"),
        ({"other": replace(HOUSE, colour="red")}, "share shape or colour"),
        ({"other": replace(HOUSE, shape="star")}, "share shape or colour"),
        ({"thing": replace(STAR, shape="circle"), "motion": "spin"}, "a circle spins"),
    ],
)
def test_a_scene_nobody_could_describe_is_refused(change, message):
    scene = Scene(thing=STAR, motion="left", background="sky", other=HOUSE, relation="left_of")
    with pytest.raises(ValueError, match=message):
        replace(scene, **change)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("motion", MOTIONS)
def test_what_the_scene_says_is_true_at_every_moment(relation, motion):
    for number, (size, other_size) in enumerate((a, b) for a in SIZES for b in SIZES):
        scene = Scene(
            thing=replace(STAR, size=size),
            motion=motion,
            background="sky",
            other=replace(HOUSE, size=other_size),
            relation=relation,
        )
        path, other = plan_paths(scene, Random(number))
        for step in range(24):
            pose = path(step / 23)
            gaps = {
                "left_of": other.x - pose.x,
                "right_of": pose.x - other.x,
                "above": other.y - pose.y,
                "below": pose.y - other.y,
            }
            assert gaps[relation] >= pose.radius + other.radius
            assert max(gaps, key=gaps.get) == relation
            assert all(pose.radius <= at <= 1 - pose.radius for at in (pose.x, pose.y))


@pytest.mark.parametrize(("motion", "dx", "dy"), [("left", -1, 0), ("right", 1, 0), ("up", 0, -1), ("down", 0, 1)])
def test_straight_motions_go_where_they_say(motion, dx, dy):
    path, other = plan_paths(Scene(thing=STAR, motion=motion, background="sky"), Random(0))
    assert other is None
    first, last = path(0), path(1)
    assert (last.x - first.x) * dx + (last.y - first.y) * dy > 0.2
    assert (last.x - first.x) * dy == (last.y - first.y) * dx == 0


def test_growing_spinning_and_resting():
    def ends(motion):
        path, _ = plan_paths(Scene(thing=STAR, motion=motion, background="sky"), Random(0))
        return path(0), path(1)

    assert ends("grow")[1].radius > 2 * ends("grow")[0].radius
    assert ends("shrink") == ends("grow")[::-1]
    assert ends("spin")[1].degrees == 360
    assert ends("still")[0] == ends("still")[1]


def test_messages_say_only_what_the_scene_shows():
    scene = Scene(thing=STAR, motion="right", background="sky", other=HOUSE, relation="left_of")
    messages = choose_messages(scene, 12, Random(0))
    assert {type(message).__name__ for message in messages} == {
        "Moves", "MovesBeside", "Located", "Travels", "Compared", "Seen",
    }  # fmt: skip
    assert len({replace(message, wording=0) for message in messages}) == 12
    for message in messages:
        assert message.thing in [Mention(shape="star", colour="red", size=size) for size in (None, "small")]
        if isinstance(message, Travels):
            assert message.direction == "towards"
        if isinstance(message, Compared):
            assert message.size == "small"


def test_what_changes_its_size_is_called_neither_small_nor_large():
    scene = Scene(thing=STAR, motion="grow", background="sky", other=HOUSE, relation="left_of")
    messages = choose_messages(scene, 12, Random(0))
    assert {message.thing.size for message in messages} == {None}
    assert not any(isinstance(message, Compared) for message in messages)


def test_a_scene_with_little_to_say_is_said_again():
    messages = choose_messages(Scene(thing=STAR, motion="grow", background="sky"), 12, Random(0))
    assert len(messages) == 12
    assert {type(message) for message in messages} == {Moves, Seen}


def test_garbling_changes_the_shape_or_the_colour_of_the_thing_alone():
    for number in range(50):
        for scene in imagine_scenes(20, number):
            for message in choose_messages(scene, 3, Random(number)):
                garbled = garble(message, Random(number))
                assert replace(garbled, thing=message.thing) == message
                assert (garbled.thing.shape == message.thing.shape) != (garbled.thing.colour == message.thing.colour)
                assert garbled.thing.size == message.thing.size
