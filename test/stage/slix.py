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

    async def tell(self, number, what, xml):
        """Sends an IQ that is made by one of the client's own extensions, and says what it makes of the answer."""
        try:
            say("answer", number=str(number), answer=what(await xml.send(timeout=60)))
        except IqError as e:
            more = [c.tag for c in e.iq.xml.find("{jabber:client}error") if not c.tag.startswith(STANZAS)]
            say("answer", number=str(number), condition=e.condition, error_text=e.text, more=" ".join(more))
        except IqTimeout:
            say("answer", number=str(number), condition="timeout")

    def form(self, fields):
        form = self["xep_0004"].make_form(ftype="submit")
        for name, values in fields.items():
            form.add_field(var=name, value=values if len(values) > 1 else values[0])
        return form

    @staticmethod
    def read_form(form):
        fields = form.get_fields()
        return {
            "title": form["title"], "instructions": form["instructions"],
            "vars": list(fields), "types": {n: f["type"] for n, f in fields.items()}, "labels": {n: f["label"] for n, f in fields.items()},
            "values": {n: [v.text or "" for v in f.xml.findall("{jabber:x:data}value")] for n, f in fields.items()},
            "rows": [{name: str(value or "") for name, value in item.items()} for item in form.get_items()],
        }

    async def command(self, number, to, order):
        """A step of an ad-hoc command."""
        for name in ("xep_0004", "xep_0050"):
            if name not in self.plugin:
                self.register_plugin(name)
        iq = self.make_iq_set(ito=to)
        if order["lang"]:
            iq.xml.set(XML_LANG, order["lang"])
        c = iq["command"]
        c["node"], c["action"] = order["node"], order["action"] or "execute"
        if order["session"]:
            c["sessionid"] = order["session"]
        if order["fields"] is not None:
            c.append(self.form(order["fields"]))

        def read(answer):
            c = answer["command"]
            out = {"status": c["status"], "session": c["sessionid"], "actions": sorted(c["actions"]), "notes": [list(n) for n in c["notes"]]}
            if c.xml.find("{jabber:x:data}x") is not None:
                out["form"] = self.read_form(c["form"])
            return out

        await self.tell(number, read, iq)

    async def register(self, number, to, order):
        """Asks what a registration needs, or makes one, or ends it."""
        for name in ("xep_0004", "xep_0066", "xep_0077"):
            if name not in self.plugin:
                self.register_plugin(name)
        iq = self.make_iq_get(ito=to) if order["action"] == "get" else self.make_iq_set(ito=to)
        if order["lang"]:
            iq.xml.set(XML_LANG, order["lang"])
        r = iq["register"]
        if order["action"] == "remove":
            r["remove"] = True
        elif order["action"] == "form":
            r.append(self.form(order["fields"]))
        elif order["action"] == "set":
            for name, values in order["fields"].items():
                r[name] = values[0]
        elif order["action"] == "get":
            r.xml  # makes the element

        def read(answer):
            query = answer.xml.find("{jabber:iq:register}query")
            if query is None:
                return {}
            r = answer["register"]
            out = {
                "registered": query.find("{jabber:iq:register}registered") is not None,
                "plain": {
                    "instructions": r["instructions"],
                    "vars": [c.tag.split("}")[1] for c in query if c.tag.startswith("{jabber:iq:register}")],
                    "values": {c.tag.split("}")[1]: [c.text or ""] for c in query if c.tag.startswith("{jabber:iq:register}")},
                },
            }
            if query.find("{jabber:x:data}x") is not None:
                out["form"] = self.read_form(r["form"])
            return out

        await self.tell(number, read, iq)


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
            elif "does" in order:
                asyncio.ensure_future(getattr(client, order["does"])(order["number"], order["to"], order), loop=loop)
            else:
                client.send_raw(order["xml"])

    loop.add_reader(sys.stdin.fileno(), command)
    client.connect((host, int(port)), disable_starttls=True, use_ssl=False, force_starttls=False)
    loop.run_forever()


main()
