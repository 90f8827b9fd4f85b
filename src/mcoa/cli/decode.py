"""mcoa decode: what the mobility messages of a capture say."""

import json
from typing import BinaryIO

import click

from mcoa.decode.capture import read_frames
from mcoa.decode.describe import describe
from mcoa.decode.sentence import sentences


@click.command
@click.argument("file", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def decode(file: BinaryIO, as_json: bool) -> None:
    """Say what the mobility messages in FILE say.

    FILE is a pcap or pcapng capture (Ethernet, raw IP, Linux cooked), or text with one packet
    in hex a line; - is standard input. Messages are found inside IPv6 tunnels and UDP port
    4191 too. Packets that have nothing to do with mobility are left out; one that is broken
    gets a line with its error.
    """
    for captured in read_frames(file):
        description = describe(captured)
        if description is None:
            continue
        if as_json:
            click.echo(json.dumps(description.as_json()))
        else:
            click.echo("\n".join(sentences(description)))
