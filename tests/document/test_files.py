"""Files that cannot be read, each with its reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from specbuild.document import Diagnostic, SpecError, plain, read


def refused(path: str | Path) -> Diagnostic:
    with pytest.raises(SpecError) as caught:
        read(path)
    assert len(caught.value.diagnostics) == 1
    return caught.value.diagnostics[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, data: bytes) -> Path:
    Path(path).write_bytes(data)
    return Path(path)


@pytest.mark.usefixtures("folder")
class TestFiles:
    def test_a_file_is_read_under_the_name_it_was_given(self) -> None:
        write("a.yaml", b"name: \xc3\xa9t\xc3\xa9\n")
        source, node = read("a.yaml")
        assert (source.name, source.text) == ("a.yaml", "name: été\n")
        assert plain(node) == {"name": "été"}
        assert node.span.source is source

    def test_byte_order_mark_and_windows_line_endings(self) -> None:
        write("a.yaml", b"\xef\xbb\xbfa: 1\r\nb:\r\n  - x\r\n")
        source, node = read("a.yaml")
        assert plain(node) == {"a": 1, "b": ["x"]}
        assert (node.span.line, node.span.column) == (1, 1)
        assert source.line(2) == "b:"

    def test_missing_with_a_near_name(self) -> None:
        write("radar_nowcast.yaml", b"a: 1")
        fault = refused("radar_nowcasts.yaml")
        assert fault.message == "there is no file radar_nowcasts.yaml"
        assert fault.help == 'did you mean "radar_nowcast.yaml"?'
        assert fault.code == "no-file"
        assert refused("radar_nowcast").help == 'did you mean "radar_nowcast.yaml"?'

    def test_missing_among_other_specs(self) -> None:
        for name in ("b.yaml", "a.yml", "notes.txt"):
            write(name, b"a: 1")
        assert refused("zzzzzzzzzzz").help == "the specs in it are a.yml, b.yaml"

    def test_missing_folder(self) -> None:
        fault = refused("nowhere/a.yaml")
        assert (fault.message, fault.reason) == ("there is no file nowhere/a.yaml", "there is no folder nowhere")

    def test_a_folder(self) -> None:
        Path("specs").mkdir()
        write("specs/a.yaml", b"a: 1")
        fault = refused("specs")
        assert (fault.message, fault.help) == ("specs is a folder, not a file", "the specs in it are a.yaml")

    def test_a_file_used_as_a_folder(self) -> None:
        write("a.yaml", b"a: 1")
        assert refused("a.yaml/b.yaml").reason == "a.yaml is not a folder"

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may read everything")
    def test_no_permission(self) -> None:
        write("a.yaml", b"a: 1").chmod(0)
        assert refused("a.yaml").reason == "permission denied"

    def test_no_permission_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", denied)
        fault = refused("a.yaml")
        assert (fault.message, fault.reason) == ("a.yaml cannot be read", "permission denied")

    def test_a_name_that_no_file_can_have(self) -> None:
        assert refused("a\0b").message == "'a\\x00b' cannot be read"
        assert refused("x" * 5000).reason == "File name too long"

    def test_not_utf8(self) -> None:
        write("a.yaml", b"name: x\nb: caf\xe9\n")
        fault = refused("a.yaml")
        assert fault.message == "a.yaml is not UTF-8 text"
        assert fault.reason == "byte 15 of the file is 0xE9, which no UTF-8 text has there"
        assert fault.help == "save it as UTF-8"
        assert fault.span is not None
        assert (fault.span.line, fault.span.column) == (2, 7)

    def test_utf16(self) -> None:
        write("a.yaml", "a: 1".encode("utf-16"))
        assert refused("a.yaml").reason == "it is UTF-16"

    def test_larger_than_the_limit(self) -> None:
        write("a.yaml", b"# " + b"x" * 4_000_000)
        assert refused("a.yaml").message == "a.yaml is larger than 4 MB"
