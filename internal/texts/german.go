package texts

var german = Texts{
	Lang: "de", Name: "Deutsch", Names: []string{"deutsch", "german"},

	Help: Help{
		Intro:     "Dies ist das Gateway zu SIP. Schreiben Sie an eine seiner Adressen, oder nehmen Sie sie in Ihre Kontakte auf:",
		IsAddress: "ist %s",
		IsNumber:  "ist die Telefonnummer %s",
		IsOther:   "ist %s, und ebenso alle anderen SIP-Adressen",
		Commands:  "Sie können mir auch einen Befehl schreiben: %s. Was jeder davon tut, sagt „%s“.",
		These:     "Das können Sie mir schreiben:",
		Forms:     "Programme, die Befehle kennen, zeigen dasselbe als Formulare.",
		Again:     "Um dies noch einmal zu lesen, schreiben Sie „hilfe“ an %s.",
		Notice:    "Nicht zugestellt: %s, gesendet %s",
		NoticeAt:  "15:04",

		PromptDesc: "Geben Sie die SIP-Adresse oder Telefonnummer ein.",
		Prompt:     "SIP-Adresse",

		Nick: "SIP-Gateway",
	},

	Commands: map[string]Command{
		"account":  {"Mein SIP-Konto", []string{"konto"}, "[setzen ADRESSE PASSWORT | entfernen]", "Ihr eigenes SIP-Konto und wie es darum steht"},
		"messages": {"Meine letzten Nachrichten", []string{"nachrichten"}, "", "Ihre letzten Nachrichten und was aus ihnen wurde"},
		"lookup":   {"Adresse nachschlagen", []string{"nachschlagen"}, "ADRESSE", "was eine Adresse oder Nummer auf der anderen Seite ist"},
		"language": {"Sprache", []string{"sprache"}, "[SPRACHE]", "die Sprache, in der ich mit Ihnen spreche"},
		"block":    {"Kontakt sperren", []string{"sperren"}, "ADRESSE", "ein Kontakt, der Sie nicht mehr erreichen soll"},
		"unblock":  {"Kontakt entsperren", []string{"entsperren"}, "ADRESSE", "ein Kontakt, der Sie wieder erreichen darf"},
		"blocked":  {"Gesperrte Kontakte", []string{"gesperrt"}, "", "wen Sie gesperrt haben"},
		"help":     {"Hilfe", []string{"hilfe"}, "", "wie das Gateway benutzt wird"},
		"commands": {"Befehle", []string{"befehle"}, "", "was jeder davon tut"},

		"status":   {"Gateway: Zustand", []string{"zustand"}, "", "Verbindungen, Warteschlange, Version"},
		"routes":   {"Gateway: Wege und Anmeldungen", []string{"wege"}, "", "wohin Anfragen gehen und ob dort jemand antwortet"},
		"queue":    {"Gateway: wartende Nachrichten", []string{"warteschlange"}, "", "was noch nicht erledigt ist"},
		"usage":    {"Gateway: Nachrichten an Telefone heute", []string{"verbrauch"}, "", "wer wie viele gesendet hat"},
		"accounts": {"Gateway: SIP-Konten der Benutzer", []string{"konten"}, "", "wer welches hat und wie es darum steht"},
		"reload":   {"Gateway: Konfiguration neu lesen", []string{"neuladen"}, "", "liest die Konfiguration neu"},
		"loglevel": {"Gateway: Umfang des Protokolls", []string{"protokoll"}, "[debug | info | warn | error]", "wie viel protokolliert wird, bis zum nächsten Neuladen oder Start"},
		"ban":      {"Gateway: für alle sperren", []string{"aussperren"}, "ADRESSE", "ein Benutzer, eine Adresse, eine SIP-Domain oder ein Netz, für alle gesperrt"},
		"unban":    {"Gateway: für alle entsperren", []string{"zulassen"}, "ADRESSE", "nimmt das zurück"},
		"banned":   {"Gateway: für alle gesperrt", []string{"ausgesperrt"}, "", "wer für alle gesperrt ist"},

		"http://jabber.org/protocol/admin#get-registered-users-num":  {Title: "Zahl der Benutzer mit SIP-Konto"},
		"http://jabber.org/protocol/admin#get-registered-users-list": {Title: "Liste der Benutzer mit SIP-Konto"},
		"http://jabber.org/protocol/admin#delete-user":               {Title: "SIP-Konto eines Benutzers entfernen"},
		"http://jabber.org/protocol/admin#edit-blacklist":            {Title: "Sperrliste bearbeiten"},
	},

	Words: Words{Set: []string{"setzen"}, Remove: []string{"entfernen"}, Yes: []string{"ja"}, Automatic: []string{"automatisch", "auto"}},

	Labels: Labels{
		Address: "SIP-Adresse", Username: "Benutzername", Password: "Passwort", Registrar: "Registrar", Display: "Angezeigter Name",
		State: "Zustand", Reason: "Grund", Since: "Seit", Until: "Bis", Server: "Server",
		User: "Benutzer", Time: "Zeit", Contact: "Kontakt", Outcome: "Ergebnis", Direction: "Richtung",
		JID: "XMPP-Adresse", SIP: "SIP-Adresse", Why: "Warum", Version: "Version", Uptime: "Läuft seit", Link: "Verbindung",
		Queue: "Wartende Nachrichten", Accounts: "SIP-Konten", Domain: "Domain", Via: "Nächste Station", Registration: "Anmeldung",
		Answers: "Antwortet", RoundTrip: "Laufzeit", ID: "Nummer", From: "Von", To: "An", Attempts: "Versuche",
		Next: "Nächster Versuch", Sent: "Gesendet", Limit: "Grenze", Day: "Tag", Level: "Stufe", Changed: "Geändert",
		Waiting: "Ab dem nächsten Start", Faults: "Fehler", Entry: "Eintrag", Count: "Zahl der Benutzer", Language: "Sprache",

		None: "keine", Unlimited: "keine", All: "alle",

		Layout: "02.01.2006 15:04:05",
		Days:   "%d Tg. %d Std. %d Min.",
		Hours:  "%d Std. %d Min.",

		States: map[string]string{
			"": "wird versucht", "trying": "wird versucht", "registered": "angemeldet", "lost": "verloren", "refused": "abgelehnt", "ending": "wird abgemeldet", "asleep": "ruht",
			"up": "steht", "connecting": "wird aufgebaut", "down": "unterbrochen", "split": "ein anderes Programm ist unter demselben Namen verbunden", "idle": "ruht", "stopped": "beendet",
			"alive": "ja", "dead": "nein", "unknown": "unbekannt",
			"queued": "wartet", "sent": "gesendet, noch keine Antwort", "back-off": "wartet auf den nächsten Versuch", "reporting": "aufgegeben, der Absender erfährt es gerade", "damaged": "nicht lesbar",
			"delivered": "zugestellt", "accepted": "von der Gegenseite übernommen", "read": "gelesen", "failed": "nicht zugestellt", "uncertain": "vielleicht zugestellt",
			"unconfirmed": "gesendet, nicht bestätigt", "open": "unterwegs",
		},
	},

	Account: Account{
		Title: "Ihr SIP-Konto",
		None:  "Sie haben bei diesem Gateway kein eigenes SIP-Konto.",
		Ask:   "Geben Sie das SIP-Konto ein, das dieses Gateway für Sie benutzen soll. Es wird sofort geprüft; Ihr Telefon arbeitet daneben weiter.",

		AddressHint:   "wie in romeo@example.net",
		UsernameHint:  "nur, wenn er nicht der Teil der Adresse vor dem @ ist",
		RegistrarHint: "nur, wenn Ihr Anbieter einen genannt hat",
		DisplayHint:   "wie Sie anderen angezeigt werden; darf leer sein",

		Choose: "Ändern oder entfernen?", Keep: "So lassen", Change: "Ändern", Remove: "Entfernen",
		Kept:     "Es wurde nichts geändert.",
		Stored:   "%s ist jetzt Ihr SIP-Konto.",
		Archived: "Ihr Passwort stand in einer Chat-Nachricht, die Server und Programme in einem Archiv aufheben können. Das Formular des Befehls „konto“ ist sicherer. Löschen Sie diese Nachricht, wenn Sie können.",

		RemoveAsk:     "Möchten Sie Ihr SIP-Konto %s entfernen? Das Gateway meldet es dann ab und vergisst das Passwort.",
		RemoveConfirm: "Entfernen",
		Removed:       "Ihr SIP-Konto wurde entfernt.",
		RemoveChat:    "Um Ihr SIP-Konto zu entfernen, schreiben Sie „%s“.",
		SetArguments:  "ADRESSE PASSWORT",
		SetUsage:      "Um es einzutragen, schreiben Sie „%s“. Ihre Nachricht kann in einem Archiv aufgehoben werden; das Formular dieses Befehls ist sicherer.",
	},

	Messages: Messages{Title: "Ihre letzten Nachrichten", None: "Seit ich sie mir merke, gibt es keine Nachrichten von Ihnen.", Out: "an", In: "von"},
	Lookup:   Lookup{Title: "Adressen", Ask: "Geben Sie eine SIP-Adresse, eine Telefonnummer oder die XMPP-Adresse eines Kontakts ein.", Hint: "wie in romeo@example.net oder +49 30 1234567", None: "Diese Adresse gibt es nicht."},
	Language: Language{Title: "Sprache", Ask: "In welcher Sprache soll ich mit Ihnen sprechen?", Automatic: "In der meines Programms", Done: "Ich spreche Deutsch mit Ihnen.", Unknown: "Diese Sprache kenne ich nicht. Ich kenne: %s."},

	Blocks: Blocks{
		Title: "Kontakte, die Sie gesperrt haben", None: "Sie haben niemanden gesperrt.", Ask: "Wer soll Sie nicht mehr erreichen?", Hint: "ein Kontakt, eine SIP-Adresse oder eine Nummer",
		UnblockAsk: "Wer darf Sie wieder erreichen?", Done: "%s ist gesperrt.", Undone: "%s darf Sie wieder erreichen.",
		NoneForAll: "Es ist niemand für alle gesperrt.", UndoneForAll: "%s ist nicht mehr gesperrt.",
		AdminAsk:  "Was für alle gesperrt ist: ein Benutzer, eine SIP-Adresse, eine SIP-Domain oder die Adresse eines Netzes, je Zeile eines.",
		AdminHint: "wie in user@example.com, sip:someone@example.net, @example.net oder 192.0.2.0/24",
		AdminDone: "Gesperrt: %d. Entsperrt: %d.", TooMany: "Für ein Formular sind es zu viele Einträge. Benutzen Sie die Kommandozeile: stox block.",
	},

	Admin: Admin{
		NoRoutes: "Es gibt keinen Weg mit einer nächsten Station.", QueueEmpty: "Es wartet keine Nachricht.", QueueMore: "und %d weitere",
		UsageNone: "Heute hat niemand eine Nachricht an ein Telefon gesendet.", AccountsNone: "Kein Benutzer hat ein SIP-Konto.", AccountsMore: "und %d weitere",
		Reloaded: "Von jetzt an gilt eine andere Konfiguration.", NothingChanged: "Die Konfiguration wurde neu gelesen. Es hat sich nichts geändert, was jetzt wirkt.",
		NotReloaded: "Die Konfiguration bleibt, wie sie war, denn die neue hat Fehler.",
		LevelAsk:    "Wie viel soll bis zum nächsten Neuladen oder Start protokolliert werden?", LevelDone: "Bis zum nächsten Neuladen oder Start ist die Stufe des Protokolls %s.", LevelUnknown: "Die Stufe %s gibt es nicht.",
		DeleteAsk: "Wessen SIP-Konten sollen entfernt werden? Je Zeile eine XMPP-Adresse.", Deleted: "Entfernte SIP-Konten: %d.", NotDeleted: "Nicht entfernt: %s",
		MaxItems: "Höchstens so viele",
	},

	Register: Register{Title: "SIP-Konto", Instructions: "Geben Sie das SIP-Konto ein, das dieses Gateway für Sie benutzen soll: seine Adresse, wie in romeo@example.net, und sein Passwort."},

	Session: Session{
		Unknown: "Diesen Befehl gibt es nicht.", Forbidden: "Dieser Befehl ist für die Verwalter des Gateways.",
		BadSession: "Das ist kein Befehl von Ihnen, der gerade läuft.", Expired: "Der Befehl hat zu lange gedauert. Beginnen Sie ihn neu.",
		BadAction: "Das ist hier nicht möglich.", BadForm: "Das Formular ist unvollständig oder nicht das, nach dem gefragt wurde.",
		NoBack: "Vor diesem Schritt gibt es keinen.", Busy: "Es laufen zu viele Befehle. Versuchen Sie es gleich noch einmal.", TooMany: "Es laufen zu viele Befehle von Ihnen. Beenden Sie einen davon, oder warten Sie einen Moment.",
		Stopping: "Das Gateway wird gerade beendet.",
		TooFast:  "Sie geben zu viele Befehle. Versuchen Sie es in %d s noch einmal.",
		Usage:    "Schreiben Sie „%s“.",
		Failed:   "Das hat nicht geklappt. Warum, steht vielleicht im Protokoll des Gateways.",
		Seconds:  "Versuchen Sie es in %d s noch einmal.",

		NotOffered: "Das wird hier nicht angeboten.",
	},

	Problems: map[string]string{
		"bad-address":        "Das ist keine SIP-Adresse. Eine SIP-Adresse ist benutzer@domain.",
		"bad-registrar":      "Dieser Registrar kann mit dieser Adresse nicht benutzt werden.",
		"bad-name":           "Der angezeigte Name ist zu lang oder hat ein Zeichen, das nicht möglich ist.",
		"bad-login":          "Der Benutzername oder das Passwort ist zu lang oder hat ein Zeichen, das nicht möglich ist.",
		"not-allowed-domain": "SIP-Konten dieser Domain können hier nicht benutzt werden.",
		"not-allowed":        "Sie dürfen hier kein SIP-Konto haben.",
		"taken":              "Dieses SIP-Konto gehört einem anderen Benutzer des Gateways.",
		"wrong-password":     "Der SIP-Server nimmt diesen Benutzernamen und dieses Passwort nicht an.",
		"no-answer":          "Der SIP-Server antwortet nicht.",
		"refused":            "Der SIP-Server hat die Anmeldung abgelehnt.",
		"busy":               "Ihr SIP-Konto kann jetzt nicht geändert werden: Es wird gerade schon geändert, oder es gab zu viele Versuche.",
		"incomplete":         "Die Adresse und das Passwort sind nötig.",
		"unknown":            "Dieses SIP-Konto gibt es nicht.",
		"not-kept":           "Das SIP-Konto konnte nicht gespeichert werden. Alles ist, wie es war.",
		"locked":             "Was von diesem SIP-Konto gespeichert ist, ist zur Zeit nicht lesbar.",
		"off":                "SIP-Konten für Benutzer werden hier nicht angeboten.",
		"full":               "Es sind schon zu viele.",
		"not-blocked":        "Das ist nicht gesperrt.",
		"admins-only":        "Das darf nur ein Verwalter sperren.",
		"everybody":          "Das würde alle sperren.",
		"":                   "Das hat nicht geklappt. Warum, steht vielleicht im Protokoll des Gateways.",
	},
}
