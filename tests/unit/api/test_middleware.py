# SPDX-License-Identifier: Apache-2.0

import io
import itertools
import json

import fixtures
import nova.api.openstack
from nova.api.openstack import wsgi
from nova.api.openstack.compute.schemas import servers as schemas
from nova.api.validation import validators
import nova.conf
from oslo_middleware import sizelimit
import routes.middleware
import webob

from edge_filters.api import middleware
from tests.unit import base
from tests.unit.api import base as api_base
from tests.unit.api import fuzz

KEYS = ('os:scheduler_hints', 'OS-SCH-HNT:scheduler_hints')

PATHS = (
    '/servers',
    '/os-volumes_boot',
    '/0123abcd-ef/servers',
    '/6f70656e737461636b20342065766572/os-volumes_boot',
)


def hints(body):
    return json.loads(body)['os:scheduler_hints']


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger('edge_filters'))

    def assertUntouched(self, api, body, **environ):
        """Assert that a request passes as it came."""
        self.assertEqual(body, api(api_base.environ(body, **environ)))
        self.assertEqual(str(len(body)), api.nova.environ['CONTENT_LENGTH'])


class PassingTest(TestCase):
    """What passes untouched."""

    def test_other_requests(self):
        """What is no create passes, and nobody reads its body."""
        body = api_base.create({'edge:bogus': None})
        api = api_base.Api(record_origin=True)
        for method, path in (
            ('GET', '/servers'),
            ('PUT', '/servers'),
            ('post', '/servers'),
            ('POST', '/servers/detail'),
            ('POST', '/servers/0123/action'),
            ('POST', '/Servers'),
            ('POST', '/XYZ/servers'),
            ('POST', '/ab/cd/servers'),
            ('POST', '/servers.json'),
            ('POST', '/os-volumes_boot/1'),
            ('POST', '/flavors'),
            ('POST', ''),
            ('POST', '/'),
        ):
            environ = api_base.environ(body, path, method)
            before = dict(environ)
            api(environ)
            self.assertIs(before['wsgi.input'], api.nova.environ['wsgi.input'])
            self.assertEqual(before, environ)

    def test_nothing_to_change(self):
        """A create that needs no change passes byte for byte."""
        api = api_base.Api()
        for body in (
            api_base.create(),
            api_base.create({'group': None, 'x': {'y': [[]]}}),
            api_base.create({'edge:origin': ['paris'], 'edge:max_rtt_ms': 20}),
            b' {"server" :{"a":1.10,"a":1e400} }\r\n',
        ):
            for path in PATHS:
                self.assertUntouched(api, body, path=path)

    def test_no_json(self):
        """A body that Nova will not read as a create is left to Nova."""
        api = api_base.Api(record_origin=True)
        for body in (
            b'',
            b'{"server": ',
            b'\xff\xfe',
            b'[' * 50000,
            b'{"server": {"a": ' + b'9' * 5000 + b'}}',
            b'{"os:scheduler_hints": {"edge:bogus": "1"}}',
            b'{"server": {}, "os:scheduler_hints": null}',
            b'{"server": {}, "os:scheduler_hints": ["edge:bogus"]}',
        ):
            environ = api_base.environ(body, REMOTE_ADDR='192.0.2.1')
            self.assertEqual(body or None, api(environ) or None)

    def test_no_length(self):
        """A body without a length is empty to Nova, and not read by us."""
        api = api_base.Api()
        body = api_base.create({'edge:bogus': '1'})
        for length in (None, '', '0', '-1', 'x'):
            environ = api_base.environ(body)
            del environ['CONTENT_LENGTH']
            if length is not None:
                environ['CONTENT_LENGTH'] = length
            source = environ['wsgi.input']
            api._app(
                dict(environ), lambda *args: None
            ) if length is None else (api._app._refusal(environ))
            self.assertEqual(0, source.tell())

    def test_too_long(self):
        """A body longer than Nova takes is not read by us."""
        api = api_base.Api()
        body = api_base.create({'edge:bogus': '1', 'x': 'x' * 200000})
        self.assertUntouched(api, body)
        config = nova.conf.CONF
        config.register_opts(sizelimit.OPTS, 'oslo_middleware')
        config.set_override('max_request_body_size', 10**6, 'oslo_middleware')
        self.addCleanup(
            config.clear_override, 'max_request_body_size', 'oslo_middleware'
        )
        refusal = api(api_base.environ(body))
        self.assertIn('edge:bogus', refusal)

    def test_cut_short(self):
        """What of a body has come is there for Nova, in one piece."""
        api = api_base.Api()
        body = api_base.create({'edge:bogus': '1'})
        environ = api_base.environ(body)
        environ['CONTENT_LENGTH'] = str(len(body) + 1)
        self.assertEqual(body, api(environ))
        # And Nova does not take it for the whole.
        environ['wsgi.input'].seek(0)
        self.assertRaises(
            webob.request.DisconnectionError,
            getattr,
            webob.Request(environ),
            'body',
        )

    def test_connection_lost(self):
        """A connection that is lost is Nova's to notice."""

        class Lost(io.BytesIO):
            def read(self, size=-1):
                raise OSError('lost')

        api = api_base.Api()
        environ = api_base.environ(b'{}')
        environ['wsgi.input'] = Lost()
        self.assertEqual(b'', api(environ))
        self.assertEqual('', self.log.output)

    def test_slow_body(self):
        """A body that comes in pieces is read whole, and no further."""

        class Slow(io.BytesIO):
            def read(self, size=-1):
                return super().read(min(size, 7))

        api = api_base.Api()
        body = api_base.create({'group': 'x'})
        environ = api_base.environ(body)
        source = environ['wsgi.input'] = Slow(body + b'POST /next')
        self.assertEqual(body, api(environ))
        self.assertEqual(len(body), source.tell())

    def test_body_read_before(self):
        """A body that another filter has read is read again."""
        api = api_base.Api()
        body = api_base.create({'edge:bogus': '1'})
        environ = api_base.environ(body)
        self.assertEqual(body, webob.Request(environ).body)
        environ['wsgi.input'].read()
        self.assertIn('edge:bogus', api(environ))

    def test_failure_of_ours(self):
        """Where we fail a request passes, and it is logged once."""
        api = api_base.Api(record_origin=True)
        body = api_base.create({'edge:bogus': '1'})
        self.patch(middleware.document, 'parse', lambda body: 1 / 0)
        for _ in range(3):
            self.assertUntouched(api, body)
        self.assertEqual(1, self.log.output.count('ZeroDivisionError'))

    def test_failure_of_nova(self):
        """Where Nova raises it is not our business, and not done twice."""
        calls = []

        def broken(environ, start_response):
            calls.append(environ)
            raise KeyError('x')

        app = middleware.EdgeMiddleware(
            broken, api_base.settings(), api_base.Prefixes()
        )
        self.assertRaises(
            KeyError, app, api_base.environ(api_base.create()), None
        )
        self.assertEqual(1, len(calls))

    def test_routes(self):
        """What Nova routes to a create is one, and what it does not is not."""
        mapper = nova.api.openstack.ProjectMapper()
        for path in ('/servers', '/os-volumes_boot'):
            mapper.create_route(path, 'POST', 'controller', 'create')
        parts = ('', '/', '/servers', '/os-volumes_boot', '/a-1', '/XY')
        parts += ('.json', '\n', '/action', 'x', '/detail', '//servers')
        for path in map(''.join, itertools.product(parts, repeat=3)):
            request = {'REQUEST_METHOD': 'POST', 'PATH_INFO': path}
            expected = mapper.routematch(path, request) is not None
            self.assertEqual(
                expected and bool(path),
                middleware._is_create(request),
                repr(path),
            )

    def test_method_in_the_query(self):
        """A query may say another method, to Nova's routes and so to us."""
        mapper = nova.api.openstack.ProjectMapper()
        mapper.create_route('/servers', 'POST', 'controller', 'create')
        for method, query in itertools.product(
            ('POST', 'PUT'),
            (
                '',
                '_method=POST',
                '_method=post&a=1',
                '_method=GET',
                '_method=',
                'x=_method',
                '_method=GET&_method=POST',
            ),
        ):
            request = api_base.environ(
                b'{}', '/servers', method, QUERY_STRING=query
            )
            routed = []
            routes.middleware.RoutesMiddleware(
                lambda environ, _, routed=routed: routed.append(
                    environ['wsgiorg.routing_args'][1]
                ),
                mapper,
                singleton=False,
            )(dict(request), None)
            self.assertEqual(
                [bool(routed[0])],
                [middleware._is_create(request)],
                f'{method} {query}',
            )

    def test_prefix_of_path(self):
        """It does not matter who takes the version off the path."""
        for prefix in ('', '/v2', '/v2.1'):
            for path in PATHS:
                request = {
                    'REQUEST_METHOD': 'POST',
                    'PATH_INFO': prefix + path,
                }
                self.assertTrue(middleware._is_create(request))


class RefusalTest(TestCase):
    """What is answered with a 400."""

    def test_bad_hints(self):
        """What a hint has wrong is said, with its name and an example."""
        api = api_base.Api()
        for bad, message in (
            (
                {'edge:max_rtt_ms': 'abc'},
                "Hint edge:max_rtt_ms 'abc' is not a number of 0 or more, "
                'such as 12.5; write for instance 20.',
            ),
            (
                {'edge:max_rtt_ms': True, 'edge:site': []},
                "Hint edge:max_rtt_ms 'True' is not a number of 0 or more, "
                'such as 12.5; write for instance 20. Hint edge:site has no '
                'value; write for instance par-01.',
            ),
            (
                {'edge:client_ip': '192.0.2.1:80'},
                "Hint edge:client_ip '192.0.2.1:80' is not an address or a "
                'prefix; write for instance 192.0.2.7.',
            ),
        ):
            for path in PATHS:
                for key in KEYS:
                    environ = api_base.environ(api_base.create(bad, key), path)
                    self.assertEqual(message, api(environ))
        (message,) = {
            api(api_base.environ(api_base.create({'edge:orgin': 'x'})))
        }
        self.assertIn("Hint 'edge:orgin' is not known; known are", message)
        self.assertIn('edge:origin', message)

    def test_what_nova_stumbles_over(self):
        """A hint that would be a 500 from Nova is a 400 that says why."""
        api = api_base.Api()
        for value, what in (
            (None, '(a NoneType)'),
            ({}, '(a dict)'),
            ([None], '(a NoneType)'),
            ([['paris']], '(a list)'),
            (['paris', {'x': 'y'}], '(a dict)'),
        ):
            message = api(
                api_base.environ(api_base.create({'edge:origin': value}))
            )
            self.assertEqual(
                f'Hint edge:origin {what} is not text; write for instance '
                'paris.',
                message,
            )

    def test_numbers(self):
        """A number is as good as its text, as it is to Nova."""
        api = api_base.Api()
        for value in (20, 20.5, ['20'], [20], '20'):
            self.assertUntouched(
                api, api_base.create({'edge:max_rtt_ms': value})
            )
        message = api(
            api_base.environ(
                b'{"server":{}, "os:scheduler_hints":'
                b'{"edge:max_rtt_ms": 1e400}}'
            )
        )
        self.assertIn("'inf' is not a number", message)

    def test_too_many(self):
        """More values than the scheduler reads are refused."""
        api = api_base.Api()
        names = [f'o{number}' for number in range(17)]
        message = api(
            api_base.environ(api_base.create({'edge:origin': names}))
        )
        self.assertIn('has 17 values; give at most 16', message)

    def test_hints_nobody_reads(self):
        """Hints under a key that Nova does not read are not ours."""
        api = api_base.Api()
        bad = {'edge:bogus': '1'}
        for body in (
            api_base.create({}, **{KEYS[1]: bad}),
            api_base.create(server={**api_base.SERVER, KEYS[0]: bad}),
            api_base.create(scheduler_hints=bad),
        ):
            self.assertUntouched(api, body)

    def test_format(self):
        """The answer is what Nova's own would be, but for the message."""
        api = api_base.Api()
        body = api_base.create({'edge:bogus': '1'})
        api(api_base.environ(body))

        def nova_itself(environ, start_response):
            fault = wsgi.Fault(webob.exc.HTTPBadRequest(explanation='x'))
            return fault(environ, start_response)

        answer = webob.Request(api_base.environ(body)).get_response(
            nova_itself
        )
        self.assertEqual(answer.status, api.status)
        self.assertEqual(
            answer.headers['Content-Type'], api.headers['Content-Type']
        )
        self.assertEqual([], api.nova.bodies)


class ModeTest(TestCase):
    BAD = api_base.create({'edge:bogus': '1'})
    ADDRESS = api_base.create({'edge:client_ip': '192.0.2.1'})
    NOTHING = api_base.create()

    def test_off(self):
        """In mode off everything passes, and nothing is read or said."""
        api = api_base.Api(mode='off', record_origin=True)
        for body in (self.BAD, self.ADDRESS, self.NOTHING):
            self.assertUntouched(api, body, REMOTE_ADDR='192.0.2.1')
        self.assertEqual('', self.log.output)
        self.assertEqual(0, api.prefixes.followed)

    def test_observe(self):
        """In mode observe everything passes, and what would be is logged."""
        api = api_base.Api(mode='observe', record_origin=True)
        for body in (self.BAD, self.ADDRESS, self.NOTHING) * 2:
            self.assertUntouched(api, body, REMOTE_ADDR='192.0.2.1')
        lines = self.log.output.splitlines()
        self.assertEqual(3, len(lines), lines)
        self.assertIn("(observe): refused: Hint 'edge:bogus'", lines[0])
        self.assertIn('(observe): origin paris of the addr', lines[1])
        self.assertIn('(observe): origin paris of the caller', lines[2])

    def test_enforce(self):
        """What is done to a create is logged."""
        api = api_base.Api(record_origin=True)
        for _ in range(2):
            api(api_base.environ(self.NOTHING, REMOTE_ADDR='192.0.2.1'))
        self.assertEqual(
            2, self.log.output.count('(enforce): origin paris of the caller')
        )
        self.assertNotIn('192.0.2.1', self.log.output)


class CallerTest(TestCase):
    """Whom a server serves whose user does not tell."""

    def test_not_recorded(self):
        """Unless it is asked for, nothing is kept of the caller."""
        api = api_base.Api()
        self.assertUntouched(api, api_base.create(), REMOTE_ADDR='192.0.2.1')
        self.assertEqual(0, api.prefixes.followed)

    def test_recorded(self):
        """The origin of the caller is kept, by the longest prefix."""
        api = api_base.Api(record_origin=True)
        for address, origin in (
            ('192.0.2.1', 'paris'),
            ('192.0.2.200', 'lyon'),
            ('::ffff:192.0.2.1', 'paris'),
            ('2001:db8::1', 'nice'),
        ):
            for path in PATHS:
                environ = api_base.environ(
                    api_base.create(), path, REMOTE_ADDR=address
                )
                body = api(environ)
                self.assertEqual({'edge:origin': origin}, hints(body))
                self.assertEqual(str(len(body)), environ['CONTENT_LENGTH'])

    def test_where(self):
        """It goes where Nova reads, beside the hints that are there."""
        api = api_base.Api(record_origin=True)
        for key in KEYS:
            body = api(
                api_base.environ(
                    api_base.create({'group': 'x'}, key),
                    REMOTE_ADDR='192.0.2.1',
                )
            )
            expected = {
                'server': api_base.SERVER,
                key: {'group': 'x', 'edge:origin': 'paris'},
            }
            self.assertEqual(expected, json.loads(body))
        body = api(
            api_base.environ(
                api_base.create({'a': 'b'}, KEYS[1], **{KEYS[0]: {}}),
                REMOTE_ADDR='192.0.2.1',
            )
        )
        expected = {
            'server': api_base.SERVER,
            KEYS[0]: {'edge:origin': 'paris'},
            KEYS[1]: {'a': 'b'},
        }
        self.assertEqual(expected, json.loads(body))

    def test_user_tells(self):
        """Who tells whom a server serves is believed."""
        api = api_base.Api(record_origin=True)
        for told in (
            {'edge:origin': 'brest'},
            {'edge:near': '48.85,2.35'},
            {'Edge:Origin': ['brest']},
        ):
            self.assertUntouched(
                api, api_base.create(told), REMOTE_ADDR='192.0.2.1'
            )

    def test_other_hints_of_ours(self):
        """A budget or a site does not tell whom a server serves."""
        api = api_base.Api(record_origin=True)
        told = {'edge:max_rtt_ms': '20', 'edge:site': 'par-01'}
        body = api(
            api_base.environ(api_base.create(told), REMOTE_ADDR='192.0.2.1')
        )
        self.assertEqual({**told, 'edge:origin': 'paris'}, hints(body))

    def test_unknown_caller(self):
        """A caller of no known origin changes nothing."""
        for prefixes in (
            api_base.Prefixes(),
            api_base.Prefixes({}, is_complete=False),
        ):
            api = api_base.Api(prefixes, record_origin=True)
            for address in ('203.0.113.1', '', 'junk', '10.0.0.1'):
                self.assertUntouched(
                    api, api_base.create(), REMOTE_ADDR=address
                )
        self.assertEqual(1, self.log.output.count('enable-threads'))

    def test_proxies(self):
        """Behind a proxy that is trusted, its client is the caller."""
        api = api_base.Api(record_origin=True, trusted_proxies=['10.0.0.1'])
        for address, headers, expected in (
            ('10.0.0.1', {'HTTP_X_FORWARDED_FOR': '::1, 192.0.2.1'}, 'paris'),
            ('10.0.0.1', {'HTTP_FORWARDED': 'for="192.0.2.200:1"'}, 'lyon'),
            ('192.0.2.200', {'HTTP_X_FORWARDED_FOR': '192.0.2.1'}, 'lyon'),
            ('10.0.0.2', {'HTTP_X_FORWARDED_FOR': '192.0.2.1'}, None),
        ):
            body = api(
                api_base.environ(
                    api_base.create(), REMOTE_ADDR=address, **headers
                )
            )
            found = json.loads(body).get(KEYS[0], {})
            self.assertEqual(expected, found.get('edge:origin'))

    def test_oslo(self):
        """Where oslo.middleware replaces addresses, they are kept before."""
        api = api_base.Api(record_origin=True, trusted_proxies=['10.0.0.1'])

        def ask(*filters):
            environ = api_base.environ(
                api_base.create(),
                REMOTE_ADDR='10.0.0.1',
                HTTP_X_FORWARDED_FOR='::1, 192.0.2.1',
            )
            for each in filters:
                each(environ)
            return json.loads(api(environ)).get(KEYS[0])

        def keep(environ):
            make = middleware.peer_factory({})
            make(lambda environ, start_response: [])(environ, None)

        oslo = fuzz._with_oslo
        replace = lambda environ: environ.update(oslo(environ))  # noqa: E731
        self.assertEqual({'edge:origin': 'paris'}, ask())
        self.assertEqual({'edge:origin': 'paris'}, ask(keep))
        self.assertEqual({'edge:origin': 'paris'}, ask(keep, replace))
        self.assertEqual('', self._warnings())
        self.assertIsNone(ask(replace))
        self.assertIsNone(ask(replace, keep))
        self.assertEqual(1, self._warnings().count('edge_filters_peer'))

    def _warnings(self):
        return '\n'.join(
            line
            for line in self.log.output.splitlines()
            if 'Edge middleware' not in line
        )

    def test_follows(self):
        """Prefixes are read from the first request on, not only creates."""
        api = api_base.Api(record_origin=True)
        api(api_base.environ(b'', '/flavors', 'GET'))
        self.assertEqual(1, api.prefixes.followed)


class AddressTest(TestCase):
    """Users who tell whom a server serves by address."""

    def ask(self, told, prefixes=None, **options):
        api = api_base.Api(prefixes, record_origin=True, **options)
        return api(
            api_base.environ(api_base.create(told), REMOTE_ADDR='192.0.2.1')
        )

    def test_not_recorded(self):
        """Unless it is asked for, addresses are kept as they were given."""
        self.assertUntouched(
            api_base.Api(), api_base.create({'edge:client_ip': '198.18.0.1'})
        )

    def test_replaced(self):
        """Nova keeps the origin of an address in place of the address."""
        for told, kept in (
            (
                {'edge:client_ip': '192.0.2.200', 'group': 'x'},
                {'group': 'x', 'edge:origin': 'lyon'},
            ),
            (
                {'edge:client_ip': ['192.0.2.1', '192.0.2.200', '192.0.2.2']},
                {'edge:origin': ['paris', 'lyon']},
            ),
            ({'edge:client_ip': ['2001:db8:1::/48']}, {'edge:origin': 'nice'}),
            ({' Edge:Client_IP': '192.0.2.1'}, {'edge:origin': 'paris'}),
            (
                {
                    'edge:client_ip': ['192.0.2.1', '2001:db8::1'],
                    'Edge:Origin': ['Brest', 'paris'],
                    'edge:near': '48.85,2.35',
                },
                {
                    'edge:near': '48.85,2.35',
                    'edge:origin': ['brest', 'paris', 'nice'],
                },
            ),
        ):
            self.assertEqual(kept, hints(self.ask(told)))

    def test_given_twice(self):
        """No spelling and no repetition of the hint leaves the address."""
        text = (
            '{"server": {}, "os:scheduler_hints": {'
            '"edge:client_ip": "192.0.2.9", "edge\\u003aclient_ip": '
            '"192.0.2.200"}}'
        )
        api = api_base.Api(record_origin=True)
        body = api(api_base.environ(text.encode()))
        self.assertEqual({'edge:origin': 'lyon'}, hints(body))
        self.assertNotIn(b'192.0.2', body)

    def test_of_no_origin(self):
        """An address of no origin, or a prefix of several, is refused."""
        end = '; or give an origin, for instance edge:origin=paris.'
        for told, message in (
            (['192.0.2.1', '198.18.0.1'], '198.18.0.1 belongs to no origin'),
            ('198.18.0.0/15', '198.18.0.0/15 belongs to no origin'),
            (
                '192.0.2.0/24',
                # Which origins is not for everybody to know.
                '192.0.2.0/24 has addresses of several origins; give a longer '
                'prefix',
            ),
        ):
            self.assertEqual(
                f'Hint edge:client_ip {message}{end}',
                self.ask({'edge:client_ip': told}),
            )

    def test_too_many(self):
        """Addresses and origins together are as few as the scheduler reads."""
        told = {
            'edge:origin': [f'o{number}' for number in range(16)],
            'edge:client_ip': '192.0.2.1',
        }
        self.assertIn('are 17 origins; give at most 16', self.ask(told))
        told['edge:origin'][0] = 'paris'
        self.assertEqual(
            {'edge:origin': told['edge:origin']}, hints(self.ask(told))
        )

    def test_prefixes_missing(self):
        """While prefixes are missing nothing is refused, and nothing lost."""
        told = {'edge:client_ip': ['192.0.2.1', '198.18.0.1']}
        for origins in ({}, api_base.ORIGINS):
            prefixes = api_base.Prefixes(origins, is_complete=False)
            self.assertEqual(api_base.create(told), self.ask(told, prefixes))
            self.assertIn('Nova keeps an address', self.log.output)
        # What can be told is told.
        prefixes = api_base.Prefixes(is_complete=False)
        self.assertEqual(
            {'edge:origin': 'paris'},
            hints(self.ask({'edge:client_ip': '192.0.2.1'}, prefixes)),
        )


class NovaTest(TestCase):
    """What Nova itself makes of what reaches it."""

    SCHEMAS = tuple(it for it in vars(schemas) if it.startswith('create'))

    def _is_valid(self, body, name):
        schema = getattr(schemas, name)
        if 'server' not in schema.get('properties', {}):
            return None
        validator = validators._SchemaValidator(schema, name == 'create_v20')
        try:
            validator.validate(json.loads(body))
        except nova.exception.ValidationError as error:
            return str(error)
        return ''

    def test_schemas(self):
        """What Nova's schemas accept they accept after we changed it."""
        api = api_base.Api(record_origin=True)
        accepted = 0
        server = {'name': 'a', 'flavorRef': '1'}
        for networks, told, key in (
            ({}, None, ''),
            ({'networks': 'none'}, None, ''),
            ({'networks': 'none'}, {}, KEYS[0]),
            ({}, {'group': api_base.PROJECT}, KEYS[0]),
            ({'networks': 'none'}, {'edge:max_rtt_ms': 20}, KEYS[1]),
            ({}, {'edge:client_ip': ['192.0.2.1', '2001:db8::1']}, KEYS[1]),
        ):
            body = api_base.create(told, key, server={**server, **networks})
            changed = api(api_base.environ(body, REMOTE_ADDR='192.0.2.1'))
            self.assertNotEqual(body, changed)
            for name in self.SCHEMAS:
                before = self._is_valid(body, name)
                self.assertEqual(before, self._is_valid(changed, name))
                accepted += before == ''
        self.assertGreater(accepted, 40)

    def test_hints_it_refuses(self):
        """Hints that are no object Nova refuses by itself, and we do not."""
        api = api_base.Api(record_origin=True)
        for value in ('null', '[]', '"x"', '1'):
            for key in KEYS:
                body = (
                    f'{{"server": {{"name": "a", "flavorRef": "1"}}, '
                    f'"{key}": {value}}}'.encode()
                )
                self.assertUntouched(api, body, REMOTE_ADDR='192.0.2.1')
                self.assertIn('is not of type', self._is_valid(body, 'create'))

    def test_any_body(self):
        """What Nova gets is what was sent, but for whom a server serves."""
        fuzz.check_bodies()


class FactoryTest(TestCase):
    def test_pipelines(self):
        """Each pipeline has its filter, and all the same prefixes."""
        made = [
            middleware.filter_factory({}, x='y')(api_base.Nova())
            for _ in range(2)
        ]
        self.assertIs(made[0]._prefixes, made[1]._prefixes)

    def test_impossible_option(self):
        """An option that cannot be is refused when nova-api starts."""
        config = nova.conf.CONF
        config.set_override('rtt_band_ms', 10**4, 'edge_filters')
        self.addCleanup(config.clear_override, 'rtt_band_ms', 'edge_filters')
        self.assertRaises(ValueError, middleware.filter_factory, {})
