import json
import subprocess
import sys

import pytest
import torch

import policies
from policies import FAMILIES, LossBalancer, PolicyError, create_policy, load_policy, policy_document


@pytest.mark.parametrize("family", FAMILIES)
def test_a_written_policy_reads_back_equal(family, tmp_path):
    policy = create_policy(family)
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy_document(policy, temperature=3.0, evidence={"score": 0.9})))
    again = load_policy(path)
    assert (again.family, again.values(), again.rule()) == (policy.family, policy.values(), policy.rule())
    balancer = LossBalancer.from_file(path, torch.nn.Linear(2, 2), total_steps=5)
    assert balancer.temperature == 3.0


def test_a_byte_order_mark_and_windows_ends_of_lines_change_nothing(tmp_path):
    text = json.dumps(policy_document(create_policy("norm_balance"), temperature=3.0), indent=2)
    path = tmp_path / "policy.json"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_policy(path).values() == create_policy("norm_balance").values()


def write(tmp_path, **changes):
    document = policy_document(create_policy("fixed"), temperature=4.0) | changes
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not ...}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": "other"},
            r"not a policy file, since its `format` is 'other'\. A policy file is .*/report/policy\.json",
        ),
        ({"version": 9}, "version 9.*reads version 1"),
        ({"family": "fxed"}, "Did you mean 'fixed'"),
        ({"family": ...}, "must have `family`"),
        ({"parameters": {"weigth": 1}}, "Did you mean 'weight'"),
        ({"parameters": {"weight": 2}}, r"fixed\.weight.*got 2"),
        ({"temperature": 0}, "temperature.*got 0"),
        ({"temperatur": 4}, "unknown key 'temperatur'.*Did you mean 'temperature'"),
    ],
)
def test_a_wrong_document_is_told_clearly(changes, message, tmp_path):
    with pytest.raises(PolicyError, match=message):
        load_policy(write(tmp_path, **changes))


def test_missing_and_broken_files_are_told_clearly(tmp_path):
    with pytest.raises(PolicyError, match="cannot read the policy file"):
        load_policy(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(PolicyError, match="not valid JSON"):
        load_policy(tmp_path / "broken.json")
    (tmp_path / "search.toml").write_text('name = "shapes"\n')  # the file that a user has at hand
    with pytest.raises(PolicyError, match=r"search\.toml' is not a policy file.*not valid JSON.*/report/policy\.json"):
        load_policy(tmp_path / "search.toml")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(PolicyError, match="since it is not an object"):
        load_policy(tmp_path / "list.json")


def test_the_public_surface_is_what_all_says():
    assert len(set(policies.__all__)) == len(policies.__all__)
    for name in policies.__all__:
        assert getattr(policies, name) is not None


def test_reading_policies_does_not_import_torch():
    code = "import sys, policies, policies.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
