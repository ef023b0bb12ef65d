"""A real XMPP client (slixmpp) that is driven by lines of JSON.

Arguments: JID, password, host, port. Commands come on standard input, one JSON
object a line; events go to standard output in the same form.
"""
import asyncio
import json
import os
import sys
import xml.etree.ElementTree as ET

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


def say(event, **fields):
    fields["event"] = event
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def text(xml, name):
    e = xml.find("{jabber:client}" + name)
    return "" if e is None else (e.text or "")


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password):
        super().__init__(jid, password)
        self["feature_mechanisms"].unencrypted_plain = True
        self.auto_authorize = None  # who asks for a subscription waits for an order
        self.auto_subscribe = False
        for xep in ("xep_0071", "xep_0172", "xep_0203"):
            self.register_plugin(xep)
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("failed_auth", lambda _: say("failed", text="not authorized"))
        self.add_event_handler("disconnected", lambda _: say("disconnected"))
        for name in ("message", "iq", "presence"):
            self.register_handler(Callback("all " + name, MatchXPath("{jabber:client}" + name), self.on_stanza))

    async def on_start(self, _):
        self.send_presence()
        await self.get_roster()
        say("online", jid=str(self.boundjid))

    def on_stanza(self, stanza):
        x = stanza.xml
        name = x.tag.split("}")[1]
        fields = {
            "kind": name, "from": x.get("from", ""), "to": x.get("to", ""), "id": x.get("id", ""),
            "type": x.get("type", ""), "lang": x.get(XML_LANG, ""), "raw": ET.tostring(x, "unicode"),
            "body": text(x, "body"), "subject": text(x, "subject"), "thread": text(x, "thread"),
        }
        if name == "message":
            # As the client's own extensions read them.
            if x.find("{http://jabber.org/protocol/xhtml-im}html") is not None:
                fields["html"] = stanza["html"]["body"]
            if x.find("{http://jabber.org/protocol/nick}nick") is not None:
                fields["nick"] = stanza["nick"]["nick"]
            if x.find("{urn:xmpp:delay}delay") is not None:
                fields["delay"] = stanza["delay"]["stamp"].isoformat()
        if name == "presence":
            fields["show"] = text(x, "show")
            fields["statuses"] = "\n".join(sorted(s.get(XML_LANG, "") + ": " + (s.text or "") for s in x.findall("{jabber:client}status")))
        error = x.find("{jabber:client}error")
        if error is not None:
            fields["error_type"] = error.get("type", "")
            for child in error:
                if child.tag == STANZAS + "text":
                    fields["error_text"] = child.text or ""
                elif child.tag.startswith(STANZAS):
                    fields["condition"] = child.tag[len(STANZAS):]
        say("stanza", **fields)

    async def ask(self, number, what, to, node):
        """Asks somebody for something with the client's own extension for it."""
        xep = {"info": "xep_0030", "items": "xep_0030", "last": "xep_0012", "vcard": "xep_0054", "version": "xep_0092", "ping": "xep_0199"}[what]
        for name in (xep, "xep_0115"):
            if name not in self.plugin:
                self.register_plugin(name)
        try:
            answer = await getattr(self, "ask_" + what)(self[xep], to, node)
            say("answer", number=str(number), answer=answer)
        except IqError as e:
            say("answer", number=str(number), condition=e.condition, error_text=e.text)
        except IqTimeout:
            say("answer", number=str(number), condition="timeout")

    async def ask_info(self, xep, to, node):
        iq = await xep.get_info(jid=to, node=node)
        info = iq["disco_info"]
        return {
            "identities": sorted("/".join((i[0], i[1])) + " " + (i[3] or "") for i in info["identities"]),
            "features": sorted(info["features"]),
            "ver": self["xep_0115"].generate_verstring(info, "sha-1"),
        }

    async def ask_items(self, xep, to, node):
        iq = await xep.get_items(jid=to, node=node)
        return {"items": sorted(str(i[0]) for i in iq["disco_items"]["items"])}

    async def ask_last(self, xep, to, _):
        iq = await xep.get_last_activity(to)
        return {"seconds": iq["last_activity"]["seconds"]}

    async def ask_vcard(self, xep, to, _):
        iq = await xep.get_vcard(to)
        card = iq["vcard_temp"]
        return {"name": card["FN"], "numbers": [t["NUMBER"] for t in card["telephone_numbers"]], "url": " ".join(u["URL"] for u in card["urls"])}

    async def ask_version(self, xep, to, _):
        iq = await xep.get_version(to)
        return {"name": iq["software_version"]["name"], "version": iq["software_version"]["version"], "os": iq["software_version"]["os"]}

    async def ask_ping(self, xep, to, _):
        await xep.send_ping(to)
        return {}


def main():
    jid, password, host, port = sys.argv[1:5]
    client = Client(jid, password)
    loop = client.loop

    rest = b""

    def command():
        # Not readline: it would keep further lines in a buffer that select does not see.
        nonlocal rest
        data = os.read(sys.stdin.fileno(), 65536)
        if not data:
            loop.remove_reader(sys.stdin.fileno())
            client.disconnect()
            loop.call_later(1, loop.stop)
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "ask" in order:
                asyncio.ensure_future(client.ask(order["number"], order["ask"], order["to"], order["node"]), loop=loop)
            else:
                client.send_raw(order["xml"])

    loop.add_reader(sys.stdin.fileno(), command)
    client.connect((host, int(port)), disable_starttls=True, use_ssl=False, force_starttls=False)
    loop.run_forever()


main()
