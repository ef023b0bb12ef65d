"""A real XMPP client (slixmpp) that is driven by lines of JSON.

Arguments: JID, password, host, port. Commands come on standard input, one JSON
object a line; events go to standard output in the same form.
"""
import json
import os
import sys
import xml.etree.ElementTree as ET

import slixmpp
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
        error = x.find("{jabber:client}error")
        if error is not None:
            fields["error_type"] = error.get("type", "")
            for child in error:
                if child.tag == STANZAS + "text":
                    fields["error_text"] = child.text or ""
                elif child.tag.startswith(STANZAS):
                    fields["condition"] = child.tag[len(STANZAS):]
        say("stanza", **fields)


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
            client.send_raw(json.loads(line)["xml"])

    loop.add_reader(sys.stdin.fileno(), command)
    client.connect((host, int(port)), disable_starttls=True, use_ssl=False, force_starttls=False)
    loop.run_forever()


main()
