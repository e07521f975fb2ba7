"""Interlaced films: whole frames from frames whose odd and even lines were taken at two moments."""

from collections.abc import Iterator
from typing import Any


def deinterlaced(frames: Iterator[Any], stream: Any) -> Iterator[Any]:
    """The same frames, of which those that are marked as interlaced are filled in from one of their fields.

    The filter is FFmpeg's bwdif, which looks at the frames before and after; the lines of still parts are all kept.
    """
    for frame in frames:
        if not frame.interlaced_frame:
            yield frame
            continue
        after = next(frames, None)
        if after is None:
            yield frame
            return
        # The frame after stands before the first one, too: with none before it the filter would see no motion.
        graph = _graph(stream)
        graph.push(after)
        graph.push(frame)
        graph.push(after)
        made = _made(graph)
        next(made, None)
        yield from made
        for later in frames:
            graph.push(later)
            yield from _made(graph)
        graph.push(None)
        yield from _made(graph)


def _graph(stream: Any) -> Any:
    import av.filter

    graph = av.filter.Graph()
    nodes = (
        graph.add_buffer(template=stream),
        graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"),
        graph.add("buffersink"),
    )
    graph.link_nodes(*nodes).configure()
    return graph


def _made(graph: Any) -> Iterator[Any]:
    """The frames that are ready."""
    import av

    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
