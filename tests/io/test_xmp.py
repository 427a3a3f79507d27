"""Steps go into any packet and come out again, and nothing else in it moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore_cli.io.xmp import NAMESPACE, append_step, read_steps

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
STEP = {"task": "denoise", "settings": '{"tile": null, "name": "a & <b> \\"c\\""}'}
FOREIGN = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<!-- kept -->\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="é">\n'
    f'  <r:RDF xmlns:r="{RDF}">\n'
    '    <r:Description r:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/png">\n'
    "      <dc:title><r:Alt><r:li xml:lang='x-default'>Été </r:li></r:Alt></dc:title>\n"
    "    </r:Description>\n"
    '  </r:RDF>\n</x:xmpmeta>\n          \n<?xpacket end="w"?>'
).encode()
# XML cannot hold these, and one that is not a character at all.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\t\n\r")
)


def inserted(before, after):
    """What was put in, after checking that it is all that happened."""
    start = next((at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
    rest = len(before) - start
    assert after[:start] == before[:start] and after[len(after) - rest :] == before[start:]
    return after[start : len(after) - rest]


def test_a_step_is_put_into_a_foreign_packet_and_not_a_byte_of_it_is_lost():
    packet = append_step(FOREIGN, STEP)
    assert b"denoise" in inserted(FOREIGN, packet)
    assert read_steps(packet) == [STEP]
    assert b'rdf:about="uuid:1"' in packet


def test_without_a_packet_there_is_a_new_one():
    assert read_steps(append_step(None, STEP)) == [STEP]
    assert append_step(None, STEP).startswith(b'<?xpacket begin="\xef\xbb\xbf"')


def test_later_steps_follow_earlier_ones_in_one_array():
    first = append_step(FOREIGN, STEP)
    second = append_step(first, {"task": "sr"})
    inserted(first, second)
    assert read_steps(second) == [STEP, {"task": "sr"}]
    assert second.count(b"<restore:Steps>") == 1


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_any_text_comes_back_as_it_was(texts):
    packet = FOREIGN
    for text in texts:
        packet = append_step(packet, {"note": text})
    assert read_steps(packet) == [{"note": text} for text in texts]


@pytest.mark.parametrize(
    "item",
    [
        '<r:li o:task="sr" o:version="2"/>',
        '<r:li><r:Description o:task="sr" o:version="2"/></r:li>',
        '<r:li><r:Description o:task="sr"><o:version>2</o:version></r:Description></r:li>',
        '<r:li r:parseType="Resource"> <o:task>sr</o:task> <o:version>2</o:version> </r:li>',
    ],
)
def test_what_other_programs_make_of_it_is_understood_and_continued(item):
    packet = (
        f'<m xmlns:r="{RDF}"><r:RDF><r:Description xmlns:o="{NAMESPACE}" r:about="">'
        f"<o:Steps><r:Seq>{item}</r:Seq></o:Steps></r:Description></r:RDF></m>"
    ).encode()
    assert read_steps(packet) == [{"task": "sr", "version": "2"}]
    assert read_steps(append_step(packet, STEP)) == [{"task": "sr", "version": "2"}, STEP]


@pytest.mark.parametrize(
    "packet",
    [
        b"not xml",
        FOREIGN[:200],
        b"<a/>",
        f'<r:RDF xmlns:r="{RDF}"/>'.encode(),
        f'<m xmlns:r="{RDF}"><r:RDF/></m>'.encode(),
        FOREIGN.decode().replace("\ufeff", "").encode("utf-16"),
        b'<!DOCTYPE a [<!ENTITY b "cc">]>' + FOREIGN[FOREIGN.index(b"<x:") :],
    ],
    ids=["text", "cut", "other xml", "empty root", "empty inside", "utf-16", "entities"],
)
def test_a_packet_without_a_place_for_it_is_left_as_it_is(packet):
    assert append_step(packet, STEP) == packet
    assert read_steps(packet) == []


def test_zeros_that_fill_up_a_tiff_tag_do_no_harm():
    assert read_steps(append_step(FOREIGN + b"\0\0", STEP)) == [STEP]


def test_a_steps_element_of_another_namespace_is_not_ours():
    packet = append_step(FOREIGN, STEP).replace(NAMESPACE.encode(), b"http://other/")
    assert read_steps(packet) == []
