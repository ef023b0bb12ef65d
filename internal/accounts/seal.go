package accounts

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// What is stored of an account:
//
//	1 octet    version, 1
//	4 octets   which key: the first of SHA-256 of "stox account key" and the key
//	12 octets  nonce, random
//	the rest   AES-256-GCM of the JSON of secret; the user and the AOR are its additional
//	           data, so that a row opens under no other address
const (
	sealVersion = 1
	keyIDSize   = 4
	nonceSize   = 12
	sealHead    = 1 + keyIDSize + nonceSize
)

// Keys open what is sealed. The first one seals.
type Keys []key

type key struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

const keySize = 32

// maxKeys bounds what a key file may have: more than two are a rotation that nobody ends.
const maxKeys = 64

// ReadKeys reads a key file: in each line base64 of 32 octets, but for empty ones and those that
// begin with "#". The error does not say what is in it.
func ReadKeys(text []byte) (Keys, error) {
	var keys Keys
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil || len(raw) != keySize {
			return nil, fmt.Errorf("line %d is not base64 of %d octets", n, keySize)
		}
		if len(keys) == maxKeys {
			return nil, fmt.Errorf("has more than %d keys", maxKeys)
		}
		k, err := newKey(raw)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("has no key")
	}
	return keys, nil
}

func newKey(raw []byte) (key, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return key{}, err
	}
	k := key{aead: aead}
	sum := sha256.Sum256(append([]byte("stox account key"), raw...))
	copy(k.id[:], sum[:])
	return k, nil
}

// secret is what is sealed.
type secret struct {
	Username  string `json:"username"`
	Password  string `json:"password"`
	Registrar string `json:"registrar,omitempty"` // a host, "" is that of the AOR
	Name      string `json:"name,omitempty"`
	Token     string `json:"token"`
}

// Format keeps the password out of whatever prints one.
func (secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("********")) }

func sealData(user, aor string) []byte {
	return []byte("stox account\x00" + user + "\x00" + aor)
}

var (
	errNoKey   = errors.New("no key in accounts.key_file is the one that it was sealed with")
	errDamaged = errors.New("what is stored was changed, or is of another user")
	errVersion = errors.New("it is of another version of stox")
)

// seal seals for the two addresses with the first key.
func (all Keys) seal(user, aor string, s secret) ([]byte, error) {
	if len(all) == 0 {
		return nil, errNoKey
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	k := all[0]
	out := make([]byte, sealHead, sealHead+len(text)+k.aead.Overhead())
	out[0] = sealVersion
	copy(out[1:], k.id[:])
	if _, err := rand.Read(out[1+keyIDSize : sealHead]); err != nil {
		return nil, err
	}
	return k.aead.Seal(out, out[1+keyIDSize:sealHead], text, sealData(user, aor)), nil
}

// open opens what seal has made. fresh says that it was with the first key.
func (all Keys) open(user, aor string, sealed []byte) (s secret, fresh bool, err error) {
	if len(sealed) < sealHead || sealed[0] != sealVersion {
		return secret{}, false, errVersion
	}
	found := errNoKey
	for i, k := range all {
		if !bytes.Equal(k.id[:], sealed[1:1+keyIDSize]) {
			continue
		}
		text, err := k.aead.Open(nil, sealed[1+keyIDSize:sealHead], sealed[sealHead:], sealData(user, aor))
		if err != nil {
			found = errDamaged
			continue
		}
		if json.Unmarshal(text, &s) != nil { // what its error says may be of the text
			return secret{}, false, errVersion
		}
		return s, i == 0, nil
	}
	return secret{}, false, found
}

// isFresh reports whether it is sealed with the first key.
func (all Keys) isFresh(sealed []byte) bool {
	return len(all) > 0 && len(sealed) >= sealHead && bytes.Equal(all[0].id[:], sealed[1:1+keyIDSize])
}
