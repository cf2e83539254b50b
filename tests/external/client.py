"""Tests the executable with the official Python client of MCP: client.py EXECUTABLE CLIP

Makes a draft with the embedded engine over stdio: every tool is listed with an output schema, a draft is created,
filled and queried, wrong arguments are answered with readable errors, and 64 calls run in parallel.
"""

import asyncio
import base64
import json
import sys
import tempfile

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(executable, clip):
    with tempfile.TemporaryDirectory() as data:
        server = StdioServerParameters(
            command=executable,
            args=["serve", "--backend", "embedded", "--data-dir", data],
        )
        async with stdio_client(server) as (reads, writes):
            async with ClientSession(reads, writes) as session:
                await talk(session, clip)


async def call(session, name, arguments):
    result = await session.call_tool(name, arguments)
    assert not result.is_error, f"{name}: {result.content}"
    # The client has validated it against the output schema; the text is the same JSON.
    assert json.loads(result.content[0].text) == result.structured_content, name
    return result.structured_content


async def refused(session, name, arguments, *parts):
    result = await session.call_tool(name, arguments)
    text = result.content[0].text
    assert result.is_error, f"{name} is accepted: {text}"
    assert result.structured_content is None, f"{name}: an error has text only"
    for part in parts:
        assert part in text, f"{name}: {part!r} in {text!r}"


async def talk(session, clip):
    hello = await session.initialize()
    assert hello.server_info.name == "capcut-mcp", hello
    tools = (await session.list_tools()).tools
    for tool in tools:
        assert tool.output_schema, f"{tool.name} has no output schema"
        assert tool.annotations is not None, f"{tool.name} has no annotations"
        assert tool.description, f"{tool.name} has no description"
    names = {tool.name for tool in tools}
    for name in ["create_draft", "add_video", "add_text", "save_draft", "inspect_draft"]:
        assert name in names, f"{name} is missing"

    draft = (await call(session, "create_draft", {"width": "720", "height": 1280}))["draft_id"]
    await call(session, "add_video", {"draft_id": draft, "video_url": clip})
    words = "Hello 世界 مرحبا"
    await call(session, "add_text", {"draft_id": draft, "text": words, "start": 0, "end": 2})
    seen = await session.call_tool("inspect_draft", {"draft_id": draft})
    assert not seen.is_error and seen.structured_content, seen.content
    # Not in the list by default, and callable.
    await call(session, "query_script", {"draft_id": draft})
    seen = await session.call_tool("preview_draft", {"draft_id": draft})
    assert not seen.is_error, seen.content
    # A note would name a script that no font supports.
    assert "notes" not in seen.structured_content, seen.structured_content
    picture = seen.content[1]
    assert (picture.type, picture.mime_type) == ("image", "image/png"), picture
    with open(seen.structured_content["png"], "rb") as file:
        assert base64.b64decode(picture.data) == file.read()
    await refused(
        session,
        "add_text",
        {"draft_id": draft, "text": "Hello", "end": "soon", "colour": "reddish"},
        "end",
        "colour",
    )
    await refused(session, "add_text", {"draft_id": "dfd_cat_1_00000000", "text": "x", "start": 0, "end": 1})
    try:
        await session.call_tool("no_such_tool", {})
    except Exception as error:
        assert "no_such_tool" in str(error), error
    else:
        raise AssertionError("an unknown tool is a protocol error")
    drafts = await asyncio.gather(
        *[call(session, "create_draft", {"name": f"Draft {n}"}) for n in range(64)]
    )
    assert len({made["draft_id"] for made in drafts}) == 64
    print(f"MCP {hello.protocol_version}: {len(tools)} tools listed, 64 calls in parallel")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
