"""Recipes: every one loads, fragments come first, and the command line wins."""

from pathlib import Path

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.core.errors import InputError
from hummingbird_jobs.recipes import load_recipe, recipe_names, recipe_title


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads(name: str) -> None:
    settings = load_settings(None, [], load_recipe(name))
    assert "compile" in settings.line.verbs
    assert recipe_title(name) == name


def test_the_small_worlds_recipes_draw_and_score_their_footage_and_share_a_folder() -> None:
    names = [name for name in recipe_names() if name.startswith("shapes-")]
    assert names == ["shapes-ci", "shapes-long", "shapes-quick"]
    for name in names:
        line = load_settings(None, [], load_recipe(name)).line
        assert line.verbs[0] == "footage"
        assert line.folder == "quickstart"


def test_fragments_come_first_then_the_recipe_then_overrides(tmp_path: Path) -> None:
    (tmp_path / "captioners").mkdir()
    (tmp_path / "captioners" / "one.yaml").write_text(
        "models: {captioner: one}\ncurate: {min_seconds: 1.0}\nseed: 1\n"
    )
    (tmp_path / "two.yaml").write_text("seed: 2\nevaluate: {prompts: 7}\n")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("include: [captioners/one.yaml, two.yaml]\nevaluate: {prompts: 9, seed: 4}\n")
    settings = load_settings(None, ["evaluate.seed=5"], load_recipe(str(recipe)))
    assert (settings.models.captioner, settings.curate.min_seconds, settings.seed) == ("one", 1.0, 2)
    assert (settings.evaluate.prompts, settings.evaluate.seed) == (9, 5)
    assert recipe_title(str(recipe)) == "mine"


def test_a_recipe_elsewhere_may_include_the_projects_fragments(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("include: [lines/shapes.yaml]\n")
    assert load_settings(None, [], load_recipe(str(recipe))).prune.plan == "shapes-student"


def test_a_file_of_a_recipe_is_beside_it(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text('evaluate: {prompts: "recipe:prompts/few.jsonl"}\n')
    assert (
        load_settings(None, [], load_recipe(str(recipe))).evaluate.prompts == tmp_path / "prompts/few.jsonl"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("include: captioners/one.yaml\n", "include must be a list"),
        ("include: [nowhere.yaml]\n", "includes nowhere.yaml, which is not in"),
        ("include: [nested.yaml]\n", "a fragment includes no others"),
        ("evaluate: {promts: 3}\n", "did you mean 'evaluate.prompts'"),
        ("line: {verbs: [encode, curate]}\n", "in this order: curate, encode"),
        ("line: {verbs: [dance]}\n", "line.verbs"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "nested.yaml").write_text("include: [other.yaml]\n")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(content)
    with pytest.raises(InputError, match=message):
        load_settings(None, [], load_recipe(str(recipe)))


def test_an_unknown_recipe_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"'shapes-quik' \(did you mean 'shapes-quick'\?\); there are shapes-ci, "
    ):
        load_recipe("shapes-quik")
    with pytest.raises(InputError, match="cannot read the settings file"):
        load_recipe(str(tmp_path / "nothing.yaml"))
