import os

import pytest

from trainables.files import whole_file


@pytest.fixture(params=[0o022, 0o002, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_file_may_be_read_by_whom_the_process_lets_read_its_files(tmp_path, umask):
    with whole_file(tmp_path / "teacher.pt") as temporary:
        temporary.write_text("weights")
    assert (tmp_path / "teacher.pt").read_text() == "weights"
    assert (tmp_path / "teacher.pt").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "kept").write_text("before")

    def fail():
        with whole_file(tmp_path / "kept") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == "before"
