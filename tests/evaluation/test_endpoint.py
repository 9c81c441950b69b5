"""The endpoint against a real server that misbehaves: everything accounted for, nothing overspent, no key anywhere."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace

import pytest

from gliner_cli.errors import GlinerError, InputError
from gliner_cli.evaluation.asking import Asking
from gliner_cli.evaluation.endpoint import UNANSWERED, Endpoint
from gliner_cli.evaluation.money import Price, Purse, price
from gliner_cli.evaluation.service import service
from gliner_cli.text.labels import labels
from gliner_cli.types import Document
from tests.evaluation.llm_server import KEY, Llm, serving, spoken

LABELS = labels(["person", "city"])
PRICE = Price(150.0, 600.0)
NAMES = ["Ada", "Bob", "Lena", "Yuki"]
DOCUMENTS = [Document(f"{NAMES[i % 4]} met Marta number {i} in Porto .", id=str(i)) for i in range(24)]


def truth(text):
    return [(text.split()[0], "person"), ("Marta", "person"), ("Porto", "city")]


def right(body):
    text = spoken(body)
    if len(body["messages"]) > 2:
        label = re.search("describes (.*) in the text", body["messages"][-1]["content"])[1]
        return json.dumps([said for said, own in truth(text) if own == label])
    return json.dumps({"entities": [{"text": said, "label": label} for said, label in truth(text)]})


def places(documents):
    return [[(e.start, e.end, e.label) for e in document.entities] for document in documents]


RIGHT = [
    sorted((one.text.index(said), one.text.index(said) + len(said), label) for said, label in truth(one.text))
    for one in DOCUMENTS
]


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")


def asking(llm, **options):
    return Asking(**{"url": llm.url, "wait": 0.01, "timeout": 10.0, "concurrency": 4, **options})


def run(llm, documents=DOCUMENTS, asked=LABELS, **options):
    """What was found and the endpoint's usage; what always holds is checked."""
    endpoint = Endpoint("tiny", asking(llm, **options))
    try:
        found = endpoint.extract(documents, asked)
    finally:
        endpoint.close()
    usage, about = endpoint.usage(), endpoint.about()
    assert [(one.text, one.id) for one in found] == [(one.text, one.id) for one in documents]
    assert usage["unanswered"] == sum(UNANSWERED in one.meta for one in found)
    assert not any(one.entities for one in found if UNANSWERED in one.meta and about["prompt"] == "json")
    assert usage["requests"] == len(llm.asked)
    assert len(endpoint.latencies) == len(llm.answered)
    assert llm.keys <= {f"Bearer {KEY}"}
    assert KEY not in repr((found, usage, about, endpoint.__dict__, endpoint._asker.__dict__))
    json.dumps(about)
    return found, usage


@pytest.mark.parametrize("prompt", ["json", "uniner"])
def test_a_service_that_works(prompt):
    with serving(Llm(right)) as llm:
        found, usage = run(llm, prompt=prompt, price=PRICE)
    assert places(found) == RIGHT
    assert usage["requests"] == len(DOCUMENTS) * (1 if prompt == "json" else 2)
    assert usage["prompt_tokens"] == sum(tokens for tokens, _ in llm.billed)
    assert usage["completion_tokens"] == sum(tokens for _, tokens in llm.billed)
    assert usage["cost"] == pytest.approx(llm.cost(150.0, 600.0))
    assert not any(
        usage[name] for name in ("retries", "failed", "malformed", "hallucinated", "unanswered", "uncounted")
    )
    assert llm.asked[0]["temperature"] == 0
    assert ("response_format" in llm.asked[0]) == (prompt == "json")


def test_as_many_questions_at_once_as_allowed_and_no_more():
    together = threading.Barrier(3, timeout=10)

    def says(body):
        together.wait()
        return right(body)

    with serving(Llm(says)) as llm:
        found, _ = run(llm, concurrency=3)
    assert places(found) == RIGHT
    assert llm.most_at_once == 3


def test_a_service_that_misbehaves_in_every_way(capfd):
    faults = [429, 500, "cut", "html", "slow", "drip", 503, 429, 502, "cut"]

    def says(body):
        number = int(spoken(body).split()[4])
        whole = right(body)
        return {
            3: whole[:-20],  # cut off
            5: "I am sorry, I cannot do that.",
            7: whole.replace("Marta", "Marie"),  # not in the text
            9: whole.replace("city", "town"),  # not asked
            11: whole.replace("Porto", "Marta"),  # another label for the same
        }.get(number, whole)

    def empty(body):
        return "null" if "number 13 " in spoken(body) else None

    with serving(Llm(says, faults=list(faults), always=empty)) as llm:
        found, usage = run(llm, timeout=1.0)
    assert not llm.faults
    assert usage["unanswered"] == usage["failed"] == usage["refused"] == 0
    assert usage["retries"] == len(faults)
    assert usage["malformed"] == 2
    assert (usage["cut"], usage["hallucinated"], usage["unasked"]) == (1, 1, 1)
    wrong = {i for i, (own, expected) in enumerate(zip(places(found), RIGHT, strict=True)) if own != expected}
    assert wrong == {3, 5, 7, 9, 11, 13}
    assert len(found[3].entities) == 2
    captured = capfd.readouterr()
    assert KEY not in captured.out + captured.err


@pytest.mark.parametrize("budget", [0.0, 0.3, 0.9, 1.2, 9.0])
@pytest.mark.parametrize("faults", [[], ["cut", 429, 500, "cut"]])
def test_the_budget_is_kept_and_what_is_left_is_said(budget, faults):
    with serving(Llm(right, faults=list(faults))) as llm:
        found, usage = run(llm, price=PRICE, budget=budget)
    assert llm.cost(150.0, 600.0) <= usage["cost"] + 1e-9 <= budget + 2e-9
    answered = [UNANSWERED not in one.meta for one in found]
    assert all(own == expected for own, expected, had in zip(places(found), RIGHT, answered, strict=True) if had)
    assert all(answered) == (budget == 9.0)
    if budget < 9:
        assert {one.meta[UNANSWERED] for one, had in zip(found, answered, strict=True) if not had} == {
            "the budget was spent"
        }
    if budget == 1.2 and not faults:
        assert sum(answered) >= 10  # it is not stingy either


def test_tokens_that_are_not_counted_are_taken_to_be_many():
    with serving(Llm(right, counts_tokens=False)) as llm:
        _, usage = run(llm, price=PRICE, budget=1.0)
    assert usage["uncounted"] == len(llm.answered)
    assert llm.cost(150.0, 600.0) < usage["cost"] <= 1.0


def test_documents_without_an_answer_say_so_and_the_others_are_kept():
    with serving(Llm(right, always=lambda body: 500 if "Ada" in spoken(body) else None)) as llm:
        found, usage = run(llm, retries=1)
    lost = [i % 4 == 0 for i in range(24)]
    assert [UNANSWERED in one.meta for one in found] == lost
    assert usage["failed"] == 6
    assert [own for own, gone in zip(places(found), lost, strict=True) if not gone] == [
        own for own, gone in zip(RIGHT, lost, strict=True) if not gone
    ]


def test_with_a_question_a_label_what_was_answered_is_kept():
    def fails(body):
        return 500 if "Ada" in spoken(body) and "city" in body["messages"][-1]["content"] else None

    with serving(Llm(right, always=fails)) as llm:
        found, usage = run(llm, prompt="uniner", retries=0)
    assert usage["unanswered"] == 6
    assert places(found)[0] == RIGHT[0][:2]
    assert found[0].meta[UNANSWERED] == "no answer came"


def test_a_service_that_dies_is_not_asked_for_ever():
    calls = []

    def dies(_):
        calls.append(1)
        return 503 if len(calls) > 8 else None

    with serving(Llm(right, always=dies)) as llm:
        found, usage = run(llm, DOCUMENTS * 10, retries=2)
    assert len(llm.asked) < 60
    assert usage["unanswered"] == 240 - len(llm.answered)
    assert "answers no more" in found[-1].meta[UNANSWERED]


def test_a_quota_that_is_used_up_is_not_tried_again():
    calls = []

    def used_up(_):
        calls.append(1)
        return 429 if len(calls) > 5 else None

    with serving(Llm(right, always=used_up, because="insufficient_quota")) as llm:
        found, usage = run(llm)
    assert len(llm.asked) <= 5 + 4
    assert usage["retries"] == 0
    assert "quota is used up" in found[-1].meta[UNANSWERED]


def test_retry_after_is_waited_for():
    with serving(Llm(right, faults=[429], retry_after="1")) as llm:
        endpoint = Endpoint("tiny", asking(llm))
        endpoint.extract(DOCUMENTS[:1], LABELS)
        endpoint.close()
    assert endpoint.usage()["seconds"] > 1


@pytest.mark.parametrize(("status", "hint"), [(401, "Check the key in OPENAI_API_KEY."), (404, "tiny"), (402, "runs")])
def test_what_stands_in_the_way_of_all_ends_it_at_once(status, hint):
    with serving(Llm(right, always=lambda _: status)) as llm, pytest.raises(GlinerError) as raised:
        run(llm)
    assert str(status) in raised.value.message
    assert hint in raised.value.hint
    assert KEY not in str(raised.value)
    assert "***" in raised.value.message
    assert len(llm.asked) <= 8


def test_a_service_that_is_not_there():
    with serving(Llm(right)) as llm:
        pass
    with pytest.raises(GlinerError, match="does not answer for tiny") as raised:
        run(llm, retries=1)
    assert "--endpoint" in raised.value.hint


def test_what_a_service_does_not_understand_is_left_out():
    def old(body):
        if "response_format" in body:
            return f"Unknown parameter response_format of type {body['response_format']['type']}"
        if "max_tokens" in body:
            return "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return "'temperature' does not support 0 with this model." if "temperature" in body else None

    with serving(Llm(right, refuses=old)) as llm:
        found, usage = run(llm, concurrency=1)
    assert places(found) == RIGHT
    assert usage["requests"] == len(DOCUMENTS) + 4  # found out once: schema, object, limit, temperature
    assert usage["refused"] == 0
    last = llm.asked[-1]
    assert "max_completion_tokens" in last
    assert not {"response_format", "max_tokens", "temperature"} & last.keys()
    assert [body.get("response_format", {}).get("type") for body in llm.asked[:3]] == [
        "json_schema",
        "json_object",
        None,
    ]


def test_a_document_that_is_refused_costs_no_other():
    with serving(Llm(right, refuses=lambda body: "too long" if "number 5 " in spoken(body) else None)) as llm:
        found, usage = run(llm, concurrency=1)
        assert llm.asked[-1]["response_format"]["type"] == "json_schema"  # that was not the reason
    assert usage["refused"] == usage["unanswered"] == 1
    assert UNANSWERED in found[5].meta


def test_ctrl_c_asks_nothing_more(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with serving(Llm(right)) as llm:
        endpoint = Endpoint("tiny", asking(llm, concurrency=1))
        monkeypatch.setattr("gliner_cli.evaluation.endpoint.read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            endpoint.extract(DOCUMENTS, LABELS)
        endpoint.close()
    assert len(llm.asked) <= 2


def test_texts_with_nothing_in_them_are_not_asked_about():
    with serving(Llm(right)) as llm:
        found, usage = run(llm, [Document(""), Document(" \n"), DOCUMENTS[0]])
    assert places(found) == [[], [], RIGHT[0]]
    assert (usage["requests"], usage["unanswered"]) == (1, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": 1.0}, "not what tokens cost"),
        ({"url": "localhost:8000"}, "an address was expected"),
        ({"url": f"http://me:{KEY}@host/v1"}, "may be secret"),
        ({"url": f"http://host/v1?api-key={KEY}"}, "may be secret"),
        ({"url": None, "key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY is not set"),
    ],
)
def test_settings_that_make_no_sense(options, said):
    with pytest.raises(InputError, match=said) as raised:
        Endpoint("tiny", replace(Asking(url="http://127.0.0.1:1/v1"), **options))
    assert KEY not in str(raised.value)


def test_a_key_that_is_none_is_not_shown(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-clé secrète")
    with pytest.raises(InputError) as raised:
        service(None, "OPENAI_API_KEY", 1.0, 1)
    assert "secr" not in str(raised.value)


def test_without_a_key_none_is_sent(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with serving(Llm(right)) as llm:
        endpoint = Endpoint("tiny", asking(llm))
        assert places(endpoint.extract(DOCUMENTS[:1], LABELS)) == RIGHT[:1]
        endpoint.close()
    assert llm.keys == {None}


def test_whatever_looks_like_a_key_is_scrubbed():
    own = service("http://host/v1", "OPENAI_API_KEY", 1.0, 1)
    said = f"key {KEY}, sk-proj-very%2Bsecret%2F0123456789, bearer abc.def, sk-other_one-123, risk-free"
    assert own.scrubbed(said) == "key ***, ***, bearer ***, sk-***, risk-free"
    assert KEY not in repr(own)


def test_prices():
    assert price("in=0.15,out=.60") == Price(0.15, 0.6)
    assert Price(0.15, 0.6).of(2_000_000, 1_000_000) == pytest.approx(0.9)
    for wrong in ("", "0.15", "in=0.15", "in=a,out=b", "out=1,in=2", "in=-1,out=1"):
        with pytest.raises(InputError, match="--price"):
            price(wrong)


def test_a_purse_waits_for_what_is_not_settled_and_then_decides():
    purse = Purse(Price(1e6, 0), 10.0)
    first = purse.hold(8, 0)
    late = []
    waiting = threading.Thread(target=lambda: late.append(purse.hold(5, 0)))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    purse.settle(first, 2.0)
    waiting.join(2)
    assert late == [5.0]
    purse.settle(5.0, 5.0)
    assert purse.hold(4, 0) is None
    assert purse.hold(1, 0) is None  # empty once, empty always
    assert purse.spent == 7.0
