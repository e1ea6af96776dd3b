-- claim_key: key, resolved type and channel of an attempt claimed in this transaction. args: client_key msg_type
-- channel msg_id fence cols: none write: yes
UPDATE {send} SET client_key = ?, msg_type = COALESCE(?, msg_type), channel = COALESCE(?, channel) WHERE msg_id = ? AND fence = ?
