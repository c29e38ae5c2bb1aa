"""The fuzz targets keep up with the parsers, their seeds with the targets, and runs can be interrupted."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "bitcoin-patch"))

import fuzz
import packages
from dev.fuzz_calls import METHODS, TABLES
from dev.fuzz_seeds import SEEDS
from dev.fuzz_writer import Input
from series_lib import Layout, PatchError

LAYOUT = Layout()
SOURCES = LAYOUT.overlay / "src"
HARNESSES = {path.name: path.read_text() for path in (SOURCES / "test" / "fuzz").iterdir()}
TARGETS = [name for text in HARNESSES.values() for name in re.findall(r"FUZZ_TARGET\((\w+)", text)]
OUTPUT = """#2 INITED cov: 5 ft: 6 corp: 1/1b exec/s: 0 rss: 30Mb
#9 DONE   cov: 152 ft: 349 corp: 37/4096b lim: 62 exec/s: 4 rss: 99Mb
stat::number_of_executed_units: 900
stat::peak_rss_mb:              101
"""
# Ends its parent's wait as Ctrl-C does, and prints its figures when it is told to end.
INTERRUPTED = """#!{python}
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
os.kill(os.getppid(), signal.SIGINT)
signal.sigwait([signal.SIGINT])
print("stat::peak_rss_mb: 7")
"""
# What takes bytes of a stranger apart, by the headers of the overlay.
PARSERS = re.compile(
    r"(?:Result<\w+>|std::shared_ptr<const CBlock>|Result<void>) ((?:Parse|Check\w*Bytes)\w*)\("
)
MESSAGES = re.compile(r"struct (\w+Message) {")


def headers() -> str:
    return "\n".join(path.read_text() for path in (SOURCES / "podl").glob("*.h"))


def test_every_target_is_built_and_has_seeds() -> None:
    listed = (SOURCES / "podl" / "CMakeLists.txt").read_text()
    assert sorted(TARGETS) == sorted(SEEDS)
    assert [name for name in HARNESSES if name.endswith(".cpp") and f"test/fuzz/{name}" not in listed] == []


@pytest.mark.parametrize("target", sorted(SEEDS))
def test_seeds_are_different_and_small(target: str) -> None:
    seeds = list(SEEDS[target]())
    assert len(set(seeds)) >= 4
    assert max(map(len, seeds)) < 70_000


def test_every_parser_has_a_target() -> None:
    text = "\n".join(HARNESSES.values())
    parsers = {name for name in PARSERS.findall(headers()) if name not in {"ParseExact", "ParseMessage"}}
    assert len(parsers) >= 8
    assert [name for name in parsers if not re.search(rf"\b{name}\(", text)] == []
    messages = set(MESSAGES.findall(headers()))
    assert len(messages) == 6
    assert [name for name in messages if f"CheckMessage<podl::{name}>" not in text] == []


def test_seeds_know_methods_and_tables() -> None:
    registered = (SOURCES / "rpc" / "podl.cpp").read_text()
    assert sorted(re.findall(r'{"\w+", &(\w*podl\w*)}', registered)) == METHODS
    kept = re.findall(r"constexpr uint8_t \w+{'(.)'};", (SOURCES / "podl" / "store.cpp").read_text())
    assert "".join(kept) == TABLES.decode()
    assert f'TABLES{{"{TABLES.decode()}"}}' in HARNESSES["podl_store.cpp"]


class Provider:
    """Reads as libFuzzer's FuzzedDataProvider does."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def number(self, low: int, high: int) -> int:
        found, offset = 0, 0
        while (high - low) >> offset and self.data:
            found = found << 8 | self.data[-1]
            self.data = self.data[:-1]
            offset += 8
        return low + found % (high - low + 1)

    def front(self, size: int) -> bytes:
        found, self.data = self.data[:size], self.data[size:]
        return found

    def text(self) -> bytes:
        found = bytearray()
        while self.data:
            byte = self.front(1)
            if byte == b"\\" and (byte := self.front(1)) != b"\\":
                break
            found += byte
        return bytes(found)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=9))))
def test_inputs_are_read_as_they_were_written(parts: list[tuple[int, int, bytes]]) -> None:
    written = Input()
    for value, more, text in parts:
        written.number(value, value // 2, value + more).front(b"\\" + text).text(text)
    reader = Provider(written.bytes())
    for value, more, text in parts:
        assert reader.number(value // 2, value + more) == value
        assert reader.front(len(text) + 1) == b"\\" + text
        assert reader.text() == text
    assert reader.data == b""


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"4 is not in 0\.\.3"):
        Input().number(4, 0, 3)


def test_figures_add_up(tmp_path: Path) -> None:
    figures = fuzz.Figures("ab")
    for seconds in (4.4, 6.0):
        figures.add(OUTPUT, seconds)
    assert (figures.seconds, figures.executions) == (10, 1800)
    assert (figures.edges, figures.features, figures.corpus, figures.peak_rss_mb) == (152, 349, 37, 101)
    figures.add("killed before it said anything", 1)
    assert (figures.seconds, figures.executions, figures.edges) == (11, 1800, 152)
    fuzz.save(tmp_path / "results.json", LAYOUT, "clang", {"podl_entry": figures})
    assert fuzz.load(tmp_path / "results.json") == {"podl_entry": figures}


def test_damaged_results_are_named(tmp_path: Path) -> None:
    assert fuzz.load(tmp_path / "none.json") == {}
    for text in ("{", "{}", "[]", '{"targets": {"a": {"sources": "", "more": 1}}}', '{"targets": 1}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(PatchError, match="not a record of fuzzing"):
            fuzz.load(tmp_path / "bad.json")


def test_an_unknown_target_is_named() -> None:
    assert list(fuzz.chosen(["a", "b"], [])) == ["a", "b"]
    assert list(fuzz.chosen(["a", "b"], ["b"])) == ["b"]
    with pytest.raises(PatchError, match="no such target: c; there are a, b"):
        fuzz.chosen(["a", "b"], ["c"])


def test_the_newest_fit_clang_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"clang++", "clang", "clang++-18", "clang-18", "clang++-19", "clang++-17", "clang-17"}
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in found else None)
    monkeypatch.setattr(packages, "can_fuzz", lambda command: command.name != "clang++")
    assert packages.sanitizing_clang()[:2] == (Path("/usr/bin/clang-18"), Path("/usr/bin/clang++-18"))
    monkeypatch.setattr(packages, "can_fuzz", lambda _command: False)
    with pytest.raises(PatchError, match=r"missing clang 17 or newer .*apt-get install clang-19"):
        packages.sanitizing_clang()


def test_a_compiler_without_libfuzzer_does_not_fit(tmp_path: Path) -> None:
    refusing = tmp_path / "clang++"
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o700)
    assert not packages.can_fuzz(refusing)


def test_an_interrupted_run_keeps_its_output(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(INTERRUPTED.format(python=sys.executable))
    program.chmod(0o700)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(fuzz.Interrupted) as caught:
            fuzz.run_once([str(program)], {}, tmp_path / "logs" / "log")
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.value.output == "stat::peak_rss_mb: 7\n"
