"""Settings: order of sources, strict types, errors that name the right key, a hash that holds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hummingbird.config.loading import known_keys, load_settings
from hummingbird.config.plugins import resolve_plugin
from hummingbird.config.renamed import RENAMED
from hummingbird.config.settings import Settings, settings_hash
from hummingbird.core.errors import InputError
from hummingbird.training.methods import METHODS
from hummingbird.training.rewards import REWARDS


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("seed: 2\nserve: {port: 2}\nray: {num_cpus: 2}\n")
    defaults = {"seed": 1, "serve": {"port": 1, "host": "0.0.0.0"}, "ray": {"num_cpus": 1}}
    settings = load_settings(file, ["ray.num_cpus=3"], defaults)
    assert (settings.seed, settings.serve.port, settings.ray.num_cpus) == (2, 2, 3)
    assert settings.serve.host == "0.0.0.0"


def test_paths_are_absolute_and_text_is_taken_as_written() -> None:
    settings = load_settings(None, ["curate.source=some: 2024", "storage=x"])
    assert settings.curate.source == Path.cwd() / "some: 2024"
    assert settings.storage == Path.cwd() / "x"
    assert load_settings(None, ["models.teacher=2024"]).models.teacher == "2024"
    assert load_settings(None, ["ray.address=null"]).ray.address is None


def test_on_and_off_may_be_written_as_the_documents_do(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("plan: {timing: off}\n")
    assert load_settings(file, []).plan.timing == "off"
    assert load_settings(file, ["plan.timing=on"]).plan.timing == "on"


@pytest.mark.parametrize("folder", ["s3://bucket/tokens", "file:///tokens"])
def test_what_must_be_a_folder_is_not_taken_for_one(folder: str) -> None:
    with pytest.raises(InputError, match=r"caption_tokenizer': .*not a URI"):
        load_settings(None, [f"curate.caption_tokenizer={folder}"])


@pytest.mark.parametrize("text", ["1e-3", "1.e-3", ".1e-2", "+10E-4"])
def test_numbers_may_be_written_with_an_exponent(text: str, tmp_path: Path) -> None:
    assert load_settings(None, [f"distill.learning_rate={text}"]).distill.learning_rate == pytest.approx(1e-3)
    file = tmp_path / "settings.yaml"
    file.write_text(f"distill: {{learning_rate: {text}}}\n")
    assert load_settings(file).distill.learning_rate == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("curate.sorce=x", "unknown setting 'curate.sorce'; did you mean 'curate.source'?"),
        ("storag=x", "did you mean 'storage'?"),
        ("curat.source=x", "did you mean 'curate'?"),
        ("xyzzy.plugh=1", "unknown setting 'xyzzy'; --print-settings shows all"),
        ("seed='3'", "setting 'seed': input should be a valid integer"),
        ("ray.dashboard=1", "setting 'ray.dashboard': input should be a valid boolean"),
        ("serve.port=70000", "setting 'serve.port'"),
        ("curate=3", "setting 'curate'"),
        ("training.clip=1", "`training.clip` is now `training.max_grad_norm`"),
        (
            "feedback.guidance_min=1",
            "is now `feedback.method.consistency.guidance_scale_min`: the scale s",
        ),
        ("feedback.image_reward=1", "is now `feedback.rewards.shapes_image.weight`"),
        ("nonsense", "write section.key=value"),
        ("seed=[1", "no valid YAML"),
        ("catalog.properties={s3.secret-access-key: x}", "use the environment"),
    ],
)
def test_wrong_settings_are_named(override: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(None, [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "instead"),
    [
        (
            "catalog.properties={s3.secret-access-key: hunter2}",
            "PYICEBERG_CATALOG__HUMMINGBIRD__S3__SECRET_ACCESS_KEY",
        ),
        ("catalog.properties={type: sql, uri: 'postgresql+psycopg2://ada:hunter2@db/lake'}", "PGPASSWORD"),
        (
            "catalog.properties={type: rest, credential: [hunter2]}",
            "given: {'type': 'rest', 'credential': '***'}",
        ),
        ("catalog.properties={credential: hunter2", "no valid YAML"),
        ("credential: hunter2", "write section.key=value"),
        ("storage=s3://ada:hunter2@bucket/runs", "credentials come from the environment"),
        ("curate.source=https://ada:hunter2@host/videos", "credentials come from the environment"),
    ],
)
def test_a_secret_is_refused_without_printing_it(override: str, instead: str) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(None, [override])
    assert instead in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seed: [", "no valid YAML"),
        ("- 1", "mapping"),
        ("curate: {sorce: 1}", "did you mean 'curate.source'?"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        load_settings(file)
    with pytest.raises(InputError, match="cannot read"):
        load_settings(tmp_path / "missing.yaml")


def test_another_class_takes_no_settings_of_the_one_before() -> None:
    preset = {"feedback": {"method": {"phased_consistency": {"phases": 4}}}}
    same = load_settings(None, ["feedback.method.phased_consistency.reuse=2"], preset)
    assert same.feedback.method == {"phased_consistency": {"phases": 4, "reuse": 2}}
    for override in ("feedback.method={consistency: {}}", "feedback.method=consistency"):
        other = load_settings(None, [override], preset)
        assert "phased_consistency" not in other.feedback.method


def test_the_hash_is_the_same_in_another_process_and_place() -> None:
    code = (
        "from hummingbird.config.loading import load_settings\n"
        "from hummingbird.config.settings import settings_hash\n"
        "print(settings_hash(load_settings(None, ['storage=/elsewhere', 'ray.num_cpus=7'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert done.stdout.strip() == settings_hash(Settings())


def test_the_hash_follows_what_matters_only() -> None:
    base, other = Settings(), load_settings(None, ["serve.port=9"])
    assert settings_hash(base) != settings_hash(other)
    assert settings_hash(base, ["curate"]) == settings_hash(other, ["curate"])
    assert settings_hash(base, ["curate"], snapshot=1) != settings_hash(base, ["curate"], snapshot=2)
    assert settings_hash(base, ["curate"]) != settings_hash(load_settings(None, ["seed=9"]), ["curate"])


def test_renamed_settings_are_gone_and_their_new_names_are_there() -> None:
    known = set(known_keys())
    assert not known & set(RENAMED)
    for name in set(RENAMED.values()) - known:  # beneath a class of a seam
        setting, kind, key = name.rsplit(".", 2)
        names = REWARDS if setting == "feedback.rewards" else METHODS
        assert setting in known
        assert key in resolve_plugin(setting, kind, names, object).kind.Settings.model_fields


def test_every_setting_is_described() -> None:
    for key in known_keys():
        model: type = Settings
        *sections, leaf = key.split(".")
        for section in sections:
            model = model.model_fields[section].annotation  # type: ignore[attr-defined]
        assert model.model_fields[leaf].description, f"{key} has no description"  # type: ignore[attr-defined]


def test_a_folder_of_settings_is_taken_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "10.yaml").write_text("seed: 1\nserve: {port: 1, host: 0.0.0.0}\n")
    (tmp_path / "20.yaml").write_text("serve: {port: 2}\n")
    (tmp_path / "notes.txt").write_text("no settings")
    settings = load_settings(tmp_path)
    assert (settings.seed, settings.serve.port, settings.serve.host) == (1, 2, "0.0.0.0")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \*\.yaml file"):
        load_settings(tmp_path / "empty")
