"""Short forms of campaigns that are commands of their own: see `tests/campaigns`."""

from __future__ import annotations

import asyncio
import re

from tests.campaigns import (
    cancelled,
    hostile,
    injected,
    planted,
    poisoned,
    power,
    redacted,
    same,
    walls,
)
from tests.campaigns.__main__ import CAMPAIGNS, ROOT


def test_every_kind_of_planted_damage_is_found_and_no_good_file_is_blamed(tmp_path):
    found = planted.campaign(tmp_path, good=2, pages=1, seed=1)
    assert found["ok"], found


def test_no_scope_tells_anything_of_another(tmp_path):
    found = walls.campaign(tmp_path, steps=600, scopes=30, seed=1)
    assert found["ok"], found


def test_planted_turns_stay_out_by_trust_and_go_with_what_was_derived_from_them(tmp_path):
    found = poisoned.campaign(tmp_path, turns=400, asked=20, seed=1)
    assert found["ok"], found


def test_a_cancelled_verb_is_wholly_there_or_not_at_all(tmp_path):
    found = asyncio.run(cancelled.campaign(tmp_path / "a.db", times=150, seed=1))
    assert found["ok"], found
    assert found["cancelled"] > 20


def test_a_power_cut_takes_nothing_back_that_was_acknowledged(tmp_path):
    found = power.campaign(cuts=24, seed=1, folder=tmp_path)
    assert found["wrong"] == []
    assert "skipped" in found or found["NORMAL"]["with losses"]


def test_a_hostile_file_ends_in_a_typed_error_or_a_right_answer(tmp_path):
    found = hostile.campaign(tmp_path, files=25, seed=1)
    assert not found["wrong"], found
    assert found["files"] == 25


def test_a_text_means_itself_in_every_place_or_is_refused(tmp_path):
    found = injected.campaign(tmp_path, count=3, seed=7, words=injected.PLAIN[:2])
    assert not found["wrong"], found


def test_with_redaction_no_personal_data_is_stored_told_shown_or_logged(tmp_path):
    found = redacted.campaign(tmp_path, records=60, seed=2)
    assert found["ok"], found
    assert found["values"] > 300


def test_the_same_said_seed_and_clock_give_the_same_answers_in_any_process():
    found = same.campaign(runs=2, seed=1)
    assert found["ok"], found


def test_each_campaign_is_a_command_and_stands_on_the_page_of_guarantees():
    page = (ROOT / "core" / "docs" / "guarantees.md").read_text(encoding="utf-8")
    for campaign in CAMPAIGNS:
        assert (ROOT / "tests" / "campaigns" / f"{campaign.name}.py").exists()
        assert f"`{campaign.name}" in page
    assert not re.search(r"\b(TODO|X{3,}|Y{3,}|Z{3,}|SAME|REDACTED)\b", page)
