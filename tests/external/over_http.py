"""Tests `serve --http` with clients from the registries: over_http.py EXECUTABLE CLIP CLAUDE GEMINI

A server with a token serves the official Python client, which makes a draft as over stdio, fastmcp, and the clients of
Claude Code and Gemini (the paths of their commands), which connect and list the server.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile

import fastmcp
import httpx2
from client import talk
from fastmcp.client.transports import StreamableHttpTransport
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


RATES = """
[rates]
draft = { per_minute = 6000.0, burst = 200 }
"""


@contextlib.contextmanager
def serving(executable, clip):
    """A server with a token; its URL, and the token."""
    with tempfile.TemporaryDirectory() as data:
        token = subprocess.run(
            [executable, "token", "add", "alice", "--data-dir", data], check=True, capture_output=True, text=True
        ).stdout.strip()
        # The client makes 64 drafts at once; by default a token may make 20.
        config = os.path.join(data, "tools.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(RATES)
        server = subprocess.Popen(
            [executable, "serve", "--http", "127.0.0.1:0", "--backend", "embedded", "--data-dir", data]
            + ["--config", config, "--allow-dir", os.path.dirname(clip)],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            for line in server.stderr:
                if "MCP clients connect to " in line:
                    url = line.split("MCP clients connect to ")[1].split()[0]
                    break
            else:
                raise AssertionError("the server ended")
            yield url, token
        finally:
            server.terminate()
            server.communicate(timeout=20)


async def official(url, headers, clip):
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        async with streamable_http_client(url, http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await talk(session, clip)


async def fast(url, headers):
    async with fastmcp.Client(StreamableHttpTransport(url, headers=headers)) as client:
        tools = {tool.name for tool in await client.list_tools()}
        assert {"create_draft", "add_text", "save_draft"} <= tools, tools
        made = await client.call_tool("create_draft", {"name": "fast"})
        draft = made.structured_content["draft_id"]
        await client.call_tool("add_text", {"draft_id": draft, "text": "Hello", "start": 0, "end": 1})
        saved = await client.call_tool("save_draft", {"draft_id": draft})
        assert "download_url" in saved.structured_content, saved
        try:
            await client.call_tool("add_text", {"draft_id": draft, "text": "x", "start": "soon", "end": 1})
        except fastmcp.exceptions.ToolError as error:
            assert str(error).startswith("ERROR invalid_argument: "), error
        else:
            raise AssertionError("a wrong argument is accepted")
        print(f"fastmcp {fastmcp.__version__}: {len(tools)} tools listed, a draft saved")


def command_line(command, url, token, home):
    """Adds the server to a client of a command line, and lets it connect."""
    name = os.path.basename(command)
    project = os.path.join(home, "project")
    os.mkdir(project)
    environment = dict(os.environ, HOME=home, GEMINI_API_KEY="none", GEMINI_CLI_TRUST_WORKSPACE="true")

    def run(*arguments):
        ran = subprocess.run(
            [command, *arguments], env=environment, cwd=project, capture_output=True, text=True, timeout=120
        )
        return ran.stdout + ran.stderr

    run("mcp", "add", "--transport", "http", "capcut", url, "--header", f"Authorization: Bearer {token}")
    listed = run("mcp", "list")
    lines = [line for line in listed.splitlines() if "capcut" in line]
    assert any("Connected" in line and "Disconnected" not in line for line in lines), listed
    print(f"{name}: connected")


def main(executable, clip, *commands):
    with serving(executable, clip) as (url, token):
        headers = {"Authorization": f"Bearer {token}"}
        asyncio.run(official(url, headers, clip))
        asyncio.run(fast(url, headers))
        for command in commands:
            with tempfile.TemporaryDirectory() as home:
                command_line(command, url, token, home)


if __name__ == "__main__":
    main(*sys.argv[1:])
