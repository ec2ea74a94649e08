// tap.js - preloaded into the real application (NODE_OPTIONS) to keep an access log at its own door.
// NocoBase's request log has whole seconds and leaves out what its gateway answers before the
// application is loaded; this one has a line for every request that reaches the process:
//   unix-ms pid method path source        source: what the gate says in X-Request-Source, or "-"
'use strict';

const fs = require('fs');
const http = require('http');

const file = process.env.FERMATA_TAP;
if (file) {
	const log = fs.openSync(file, 'a');
	const emit = http.Server.prototype.emit;
	http.Server.prototype.emit = function (event, request, ...rest) {
		if ((event === 'request' || event === 'upgrade') && request.socket.localPort === Number(process.env.APP_PORT)) {
			const from = request.headers['x-request-source'] || '-';
			fs.writeSync(log, `${Date.now()} ${process.pid} ${request.method} ${request.url} ${from}\n`);
		}
		return emit.call(this, event, request, ...rest);
	};
}
