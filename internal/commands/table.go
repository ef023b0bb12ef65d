package commands

// table has all commands, in the order in which people see them.
func table() []*command {
	return []*command{
		accountCommand(),
		messagesCommand(),
		lookupCommand(),
		blockCommand(),
		unblockCommand(),
		blockedCommand(),
		languageCommand(),
		helpCommand(),
		commandsCommand(),

		statusCommand(),
		routesCommand(),
		queueCommand(),
		usageCommand(),
		accountsCommand(),
		reloadCommand(),
		logLevelCommand(),
		usersNumberCommand(),
		usersListCommand(),
		deleteUserCommand(),
		blacklistCommand(),
		banCommand(),
		unbanCommand(),
		bannedCommand(),
	}
}

func hasAccounts(o *Options) bool { return o.Accounts != nil }
func hasBlocks(o *Options) bool   { return o.Blocks != nil }
func hasOperator(o *Options) bool { return o.Operator != nil }
