// smpp_centre.js - a message centre made of the npm package smpp, which we did not write.
//   node smpp_centre.js MODULE_DIR CERT KEY OUT   (CERT "-": plain TCP)
// Prints the port, then appends one line of JSON to OUT for each message. Ids: hexadecimal in the answer; receipts
// in turn with parameters alone, as text with the id in decimal, and as text before the answer.
'use strict';
const fs = require('fs');
const [, , dir, cert, key, out] = process.argv;
const smpp = require(dir);
let next = 0xabcdef01;
let malformed = 0;

function text(pdu) {
	const m = pdu.message_payload || pdu.short_message;
	return { text: Buffer.isBuffer(m.message) ? null : m.message, octets: Buffer.isBuffer(m.message) ? m.message.toString('hex') : null,
		udh: m.udh ? m.udh.map((b) => b.toString('hex')) : null };
}

function receipt(session, pdu, id, kind) {
	const words = `id:${parseInt(id, 16)} sub:001 dlvrd:001 submit date:2611220101 done date:2611220102 stat:DELIVRD err:000 text:`;
	const sm = { source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4 };
	if (kind === 0) {
		sm.receipted_message_id = id;
		sm.message_state = 2;
	} else {
		sm.short_message = words;
	}
	session.deliver_sm(sm);
}

function serve(session) {
	session.on('error', () => {});
	session.on('bind_transceiver', (pdu) => {
		const good = pdu.system_id === 'shop' && pdu.password === 'secret08';
		session.send(pdu.response({ command_status: good ? 0 : smpp.ESME_RINVPASWD, system_id: 'npm' }));
	});
	session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
	session.on('enquire_link', (pdu) => session.send(pdu.response()));
	session.on('unknown', () => { malformed++; });
	session.on('submit_sm', (pdu) => {
		const id = (next++).toString(16);
		const kind = next % 3;
		fs.appendFileSync(out, JSON.stringify(Object.assign({ id, to: pdu.destination_addr, from: pdu.source_addr,
			coding: pdu.data_coding, ref: pdu.sar_msg_ref_num, total: pdu.sar_total_segments, part: pdu.sar_segment_seqnum,
			validity: String(pdu.validity_period || ''), malformed }, text(pdu))) + '\n');
		if (kind === 2) receipt(session, pdu, id, kind);
		session.send(pdu.response({ message_id: id }));
		if (kind !== 2) receipt(session, pdu, id, kind);
	});
}

const options = cert === '-' ? {} : { key: fs.readFileSync(key), cert: fs.readFileSync(cert), tls: true };
const server = smpp.createServer(options, serve);
server.listen(0, '127.0.0.1', () => console.log(`PORT ${server.address().port}`));
