"""The page as visitors read it, against the files kept in tests/golden: whole in English, its words in every language.

With FERMATA_GOLDEN_ACCEPT set the files are written, and the change is reviewed as a diff."""
import html
import json
import os
import pathlib
import re
import time

import pytest

import wire
from client import request
from test_page import LANGUAGES, SAVING, element, live

KEPT = pathlib.Path(__file__).resolve().parents[1] / "golden"
FAR = 2 * 86400
BACK_AT = "1790001000"  # in the files, in place of whatever it was

# What a visitor may be told of the end, and how far away that is.
ENDS = {"soon": 3600, "on another day": FAR, "late": -60, "unknown": None}


def settled(text, back_at):
    """With a time of its own in place of the one that it had to have."""
    if back_at == 0:
        return text
    moment = time.gmtime(back_at)
    return (text.replace(time.strftime("%Y-%m-%d %H:%M UTC", moment), "2026-09-21 14:30 UTC")
            .replace(time.strftime("%H:%M UTC", moment), "14:30 UTC").replace(str(back_at), BACK_AT))


def close(coordinator, left):
    """Ends at a full minute; 0: nobody knows."""
    back_at = 0 if left is None else (int(time.time()) + left) // 60 * 60
    coordinator.ask(wire.CLOSED, phase=SAVING, run=7, back_at=back_at)
    return back_at


def hold_against(name, text):
    file = KEPT / name
    if os.environ.get("FERMATA_GOLDEN_ACCEPT"):
        file.write_text(text)
    assert file.exists(), f"{name} is missing; type: ./build.sh golden --accept"
    assert text == file.read_text(), f"{name} differs from what a gate says; type: ./build.sh golden --accept"


def test_page_in_english(gate, coordinator):
    back_at = close(coordinator, ENDS["soon"])
    hold_against("page.html", settled(request(gate.port).text, back_at))
    hold_against("page.json", settled(request(gate.port, "/api/x").text, back_at) + "\n")
    hold_against("page-live.json", settled(request(gate.port, "/fermata-live").text, back_at))


def words(port, tag, back_at):
    """What one reads, line by line; the page's own questions are answered alike."""
    text = request(port, Accept_Language=tag).text
    lang, direction = re.search(r'<html lang="(.*?)" dir="(.*?)"', text).groups()
    spoken = live(port, Accept_Language=tag)
    assert spoken["back"] == element(text, "back") and spoken["step"] == element(text, "step")
    error = json.loads(request(port, "/api/x", Accept_Language=tag).text)["error"]
    assert error["message"] == spoken["message"] == element(text, "message")
    title = html.unescape(re.search("<title>(.*)</title>", text)[1])
    lines = [f"{lang} {direction}", title, *(element(text, name) for name in ("message", "back", "step", "note"))]
    return settled("\n".join(f"  {line}" if number else line for number, line in enumerate(lines)), back_at)


@pytest.mark.parametrize("end", ENDS)
def test_words_in_every_language(gate, coordinator, end):
    back_at = close(coordinator, ENDS[end])
    text = "\n".join(words(gate.port, tag, back_at) for tag in LANGUAGES)
    hold_against(f"page-{end.replace(' ', '-')}.txt", text + "\n")
