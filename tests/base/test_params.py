import pytest
import yaml
from conftest import ROOT

from churn.base.command import UserError
from churn.base.params import SCHEMA, read_params, read_section


@pytest.fixture
def params(tmp_path):
    """Return a function that writes params.yaml with one value changed and reads it."""

    def change(section, key, value):
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        content[section][key] = value
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(content))
        return read_params(path)

    return change


def test_the_committed_params_are_valid_and_a_stage_reads_its_own_section():
    sections = read_params(ROOT / "params.yaml")
    assert read_section(ROOT / "params.yaml", "build_training_set") == sections["build_training_set"]


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        (
            "build_features",
            "lookbak_days",
            90,
            "build_features: unknown key 'lookbak_days'. Did you mean lookback_days?",
        ),
        (
            "build_features",
            "lookback_days",
            "ninety",
            "build_features.lookback_days: 'ninety' is not of type 'integer'",
        ),
        ("build_features", "lookback_days", 30, "build_features.lookback_days: 30 is less than the minimum of 60"),
        ("detect_drift", "drift_share", 1.5, "detect_drift.drift_share: 1.5 is greater than the maximum of 1"),
        ("train_model", "leave_out", ["Age"], "train_model.leave_out"),
    ],
)
def test_an_error_names_the_unknown_key_or_the_wrong_value(params, section, key, value, message):
    with pytest.raises(UserError) as caught:
        params(section, key, value)
    assert message in str(caught.value)


def test_a_missing_section_a_missing_file_and_invalid_yaml_are_reported(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(UserError, match="is missing"):
        read_params(path)
    path.write_text("clean_payments: {")
    with pytest.raises(UserError, match="is not valid YAML"):
        read_params(path)
    path.write_text("clean_payments: {max_reject_share: 0.1}")
    with pytest.raises(UserError, match="'train_model' is a required property"):
        read_params(path)


def test_every_parameter_has_a_description():
    schema = yaml.safe_load(SCHEMA.read_text())
    for section, spec in schema["properties"].items():
        for key, value in spec.get("properties", {section: spec}).items():
            assert value.get("description"), f"{section}.{key}"
