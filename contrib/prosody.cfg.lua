-- stox as a component of Prosody. This goes into a file of its own,
-- /etc/prosody/conf.d/stox.cfg.lua, or at the very end of
-- /etc/prosody/prosody.cfg.lua. It holds a secret: only root and Prosody
-- should be able to read it. Then restart Prosody.
--
-- Prosody waits for components on 127.0.0.1, port 5347, unless
-- component_interfaces and component_ports say otherwise.

Component "sip.example.com"
    component_secret = "change-me"
    component_conflict_resolve = "kick_old" -- a new connection of stox replaces a dead one
    name = "SIP gateway"
