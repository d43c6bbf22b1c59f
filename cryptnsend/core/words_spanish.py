"""Which words make up the passphrases of people who read Spanish?

A list of our own, as that in words.py: 2,048 words of three to seven letters that are written without accents and ñ, so
that they can be typed on any keyboard. None of them is an English word of the other list, and words that are vulgar
somewhere in the Spanish-speaking world were left out by hand.
"""

_LIST = """
abajo abanico abedul abeja abeto abierto abordar abrazo abrigo abril abrir abuela acabar acampar aceite acento aceptar
acequia acercar acero acierto aclarar acoger acordar acorde acto actriz acuario acudir acuerdo aderezo adivino admirar
adobe adoptar adorno aduana adulto afable afecto afinar agarrar agave agitar agosto agrario agrio agua agudo aguja
agujero ahora ahorro ahumar aire aislar ajedrez ajo ajuste alambre alameda alargar alba alcalde alce alcoba aldea
alegato alegre alerce alero aleta alfalfa alfiler alforja alga aliar aliento alivio aljibe alma almena almirez alojar
alondra alpaca alpino alterno altivo alto altura alubia alud alumno alzar amable amapola amargo amasar ambos ameno
amigo amistad amoldar amor amparo amplio ancho ancla andamio andar andino anguila anidar anillo animar anotar antena
anteojo antes antiguo antojo anual anuncio anzuelo apagar apartar apego apenas apilar apio aplauso aporte apoyo apretar
apto apuesta apunte aquel aquello arbusto arcilla arco ardilla arduo arenal arenque arete argolla arista armario aro
aroma arpa arriba arrimar arroyo arroz arrullo arte artista asa ascenso aseo asiento asombro asomo aspa aspecto asta
astilla astro asunto atajo atento atizar atlante atleta atraer atril atuendo audaz aula aumento aurora ausente autor
avance avanzar avena aviador aviario aviso avispa avivar ayer ayuda azada azafata azahar azar azucena azul azulejo
babero bache badajo bailar baile bajamar bajo balada balanza balde baldosa ballena balsa banco banda bandada bandeja
baqueta barba barbero barca barniz barril barrio barro basalto basta bata batuta bazar bebida belleza bello bellota
berlina berro beso besugo bien bigote billar billete biombo bisagra bisonte blanco blando bloque blusa bobina boca
boceto bocina boda bodega bohemio boina bolero boleto bolo bolsa bombo bonanza bondad bonito borde borla borrar borrego
bosque bota bote botella boyante brasa bravo brazo brecha breve brezo brillo brinco brindis brisa brocha broche broma
bronce brote bruma brusco bucle bueno buey bufanda bufete bulbo bulto buque burbuja burgo buscar busto butaca buzo
cabal caballo cabello cabeza cabida cabina cabra cacao cacique cacto cada cadena cadete caja calar calco caldera calesa
calle calma calor calzar cama cambio camelia camello camilla camino camisa camote campana campero campo canario canasta
cancha candela candil candor canela canica canje canoa cantera canto cantor capa capaz capilla capital caporal captar
cara caracol cardo carecer careta carga caribe caricia carisma carne carozo carpa carpeta carreta carril carro carroza
carta cartel cartera casa casaca cascada casco casero casi casita casona casta castor catorce cauce caudal causa cauto
cavar caverna cazuela cebada cebolla cebra ceder cedro ceja celeste cena cenefa ceniza centavo centeno centro cepillo
cerca cerebro cerezo cerilla cero cerro cesta chacra chal chaleco chapa charco charla chicle chico chispa chiste chopo
choque chorro choza chuleta churro ciclo cielo ciencia ciento cierto ciervo cifra cigarra cima cincel cinco cine cinta
circo ciruela cisne cita ciudad clamor clan claro clase clave clavel clavija clavo clima cloro cobalto cobijo cobre
cocer coche cocina coco codo cofia cofre cohete col colegio colina colmar colmena coloso columna comarca comedor comer
cometa comida comino compota compra conde confiar confite cono conocer consejo consola contar control convoy copa
copete copia coqueto coraje corbata corcel corcho cordero corneta cornisa coro corona corral correo correr corte
corteza cortina corto cosa cosecha cosmos costal costo costura cotorra coyote crear crecer crema cresta crin crisol
cristal cromo cruce crujir cuadro cuajo cuarto cuarzo cuatro cubeta cubo cubrir cuchara cuello cuenco cuento cuerda
cuerno cuero cuerpo cuesta cueva cultivo cultura cumbre cumplir cuna cupo curador curioso curso curva dama danza dardo
dato deberes decena decidir decoro dedal dedicar dedo deducir defensa delante delegar deleite demanda dentro deporte
derecho derivar deseo desfile destino detalle detener diadema diario dibujo dicho diente diestro diez digital digno
dilema diluir dinero diploma dique directo disco disfraz diverso dividir doblar doble doce docena doctor domingo
dominio donar dormir dorso dosel dotar dote ducha dueto dulce dulzura duna durable durar durazno eco ecuador edad
educar efecto eficaz eje ejemplo elegir elenco elevar elogio emblema embudo emigrar emitir empate empezar empleo empuje
encaje encanto encargo enchufe encima encino enero enfoque enfriar enigma enlace enlazar enorme enredo ensayo enseres
entero entorno entrada entrar entrega envase enviar equidad equino equipo erizo erudito esbelto escala escaso escena
escoba escolta escudo escuela esencia esfera esmalte esmero espacio espada espalda espejo espera espeso espiga espina
espiral esponja espuela espuma esquema esquina estable establo estampa estatua estela estepa estera estilo estimar
estirar estreno estribo estrofa estuche estudio estufa etapa eterno evento evitar evocar exacto exigir existir experto
exponer expreso extremo fachada factor faena falda fama familia faro farol farola fase fauna febrero fecha felino feliz
felpa feria fervor festejo fiable fibra ficha fichero fideo fiel fieltro figura fijo fila filete filial filtro fin
finca fino finura firma firme flan flanco flauta flecha fleco flor flora florero flota fluir flujo fluvial foco fogata
folio follaje fomento fondo fontana forja forma forro fortuna foto fragata franco franja frasco frase fregar freno
frente fresa fresco fresno frijol frito frontal fruta frutal fuego fuelle fuente fuera fuerte fugaz fulgor funda futuro
gacela gaceta gafas gaita gajo gala galante galaxia galgo galleta gallina gallo galope gama gambeta gamuza ganar gancho
ganso garaje garbo garita garra garrafa garza gasa gato gaucho gaviota gema gemelo generar genio gente germen gesto
gigante girasol giro glaciar glicina globo gloria gol golfo golpe goma gorjeo gorro gota gotera gozar gracia graduar
grafito gramo granada granate grande granero granito granizo granja grano grapa grasa gratis grava gremio grieta grillo
gris grueso grulla grupo gruta guante guapo guardar guarida guinda guiso gusto hablar hacha halago hallar hamaca hangar
harina harto hebilla hebra hecho helecho heno heraldo heredar hermoso herraje herrero hervir hidalgo hiedra hielo
hierba hierro higo hilera hilo himno hipo hito hocico hogar hogaza hoguera hoja hojear hombro hondo honesto hongo honor
hora horario hormiga hornear horno hostal hoy huella huerta huevo humano humedad humilde humo humus icono idilio idioma
ignorar igual iguana imagen imitar impar importe impulso incluir informe ingenio inicio inmenso insecto insigne invento
invitar isla isleta islote istmo izar jacinto jalea jarabe jarcia jarra jaula jefe jinete jirafa jornada joroba joven
jovial joya joyero juego jueves juglar jugo juguete juicio julio junco junio junto justo kilo labio labor labrar lacio
lacre ladera lagarto lago laguna lana lancero lancha lapso largo lastre lateral latir lavabo lavanda lavar lazo leal
lealtad leche lechero lechuga lechuza lector leer legua lejano lejos lema lente lenteja lento letra letrero levante
leve ley leyenda liberal libre libro licor liebre lienzo liga ligero lija lila lima limpio lince lindero lindo lingote
lino lira lirio liso listo litera litoral litro liviano llanero llano llanta llanura llave llavero lleno llevar llover
lluvia lobo logro loma lona longevo lonja loro lote loza lucero lucir luego lugar lujo lumbre luna lunes lupa lustro
luz maceta macizo madeja madera madrina maduro maestro magia magno maleta maleza malla malva mambo mamut manada mandil
mando manejo manera manga manija manjar mano manojo manso manta manteca mantel manzana mapa mapache mar maraca marchar
marco marea marfil margen marino marisco martes marzo masa masaje mascar matinal matiz mayo mazo mazorca mecer medalla
medio medir medusa mejilla mejora melena mellizo meloja memoria menear menguar menor mensaje menta mente menudo mesa
meseta meta mezcla miel miembro miga mil milagro milenio millar mimbre mina minero minuto mirada mirador mirar mirilla
mirlo mitad mito mochila modelo modesto modo modular mojar molde moldura molino molusco momento moneda monitor montar
monte montura mora moral mordaz morera morral morsa mortero mosaico mosca mosto mostrar motivo moto mover mudanza mudar
mueble muelle muestra mula mundo muralla musa museo musgo mutuo nabo nacer nadador nadar naipe naranja nardo nariz
narrar nata natal natural navaja nave navegar neblina nervio neutro nevar nevera nexo nicho niebla nieto nieve nimbo
nivel nobleza noche nogal nombre nominal nopal noria norma norte nota notable noticia notorio novato novedad novela
noveno novillo nube nuca nudo nueve nuevo nuez nupcial nutria nutrir objeto oblea obra obrero obtener obvio ocarina
ocaso ocelote ochenta ocho ocio octavo octubre ocupar oeste oferta oficio ofrecer ofrenda ojal ojo ola oleaje olfato
olivo olla olmeda olmo olor omitir onda onza operar opinar optar opuesto orador oral orden oreja orfebre oriente origen
orilla oriundo ornar ornato oro oscuro osezno osito oso ostra otorgar oveja ovillo ozono pacto padrino paella pagar
paisaje pala palabra palacio paladar palco paleta palillo palma palmera paloma pampa panal pandero panela panera
pantano pantera panza papa papel paquete parada parasol parcela parche parecer pared pareja parque parra parral parte
partida partir pasaje paseo pasillo pasivo paso pastar pastor patata pato patria pausa pauta pavo payaso paz pecera
pedazo pegar peinar peine pelaje pelo pelota peluca penacho pensar peonza pepino pepita pera peral percha perdiz
perejil perfil perito perla permiso perol perro persona pesca petaca picante piedad piedra piel pieza pijama pila
piloto pincel pino pinta pintor pintura pinza piragua piscina piso pista pizarra pizca placa placer plancha planear
planeta plano planta plasma plato playa plazo plegar pliego plomo pluma plural poda podio poema poeta polea polen
polilla pollo pomelo pomo pompa poncho poro portada portero posada posible postal poste postigo postre potrero potro
pozo pradera precio preciso premio prenda prensa presto primo primor prisma proa probar proceso profeta promesa pronto
propio prosa proveer prueba pueblo puente puerto puesto pulgar pulir pulpo pulsera pulso punto pupila pupitre quena
quesero queso quetzal quieto quilate quilla quimera quinto quinua quiosco racha racimo radical rama ramaje ramal rampa
rana rancho rango rapidez raqueta raro rasante rasgo raspar rastro rato raudal rayo rayuela reacio rebaja rebelde
rebote receta recibo recinto recital reclamo recobro recodo recoger recorte recreo recto recurso redil redoble redondo
reducir reflejo reforma refugio regalo regar regata regla regreso regular rehacer reja relato relevo relieve relleno
reloj remanso remate remero remo rendija reno renovar renta reparto repasar repetir repisa repollo reponer reposo
reptil rescate reserva residir resina resol resorte respeto respiro resto resumen retama retener retiro retorno retrato
reunir revelar revista ribera ribete rico riego rienda rima riqueza risa ritmo rito rizo roblar roble robusto roca
rocoso rodaja rodar rodeo rodilla rojo rollo romance romero romper ronda ropa ropero rosa rosal rosca rostro rotundo
rozar rubio rubor rueca rueda rugir rugoso ruleta rulo rumbo ruta rutina sabio sable sabor sabroso sabueso saco saeta
sagaz sal sala salero salida salina salir salsa salto salud saludo salvia salvo samba sano sapo saque sardina sastre
sauna savia seco secreto seda sede sedoso segar seguir segundo seguro seis sello selva semana semanal sembrar semilla
senda sendero sensato sentir separar sereno serie serio serrano serrar sesenta seto sexto sidra siempre siesta siete
siglo signo silbar silla silo sincero sirena sistema sitio sobra sobre sobrino sobrio socio sodio soga sol solana
solapa soldar solemne solfeo soltar soluble sombra sonata sonda soneto sonoro sonrisa sonrojo sopa soplo soporte sorber
sorbo sorteo sortija sosiego suave subir suceso sueldo suelo suelto suerte sugerir sulfuro suma superar suplir sur
surco surgir suspiro susurro sutil tabique tabla tablero tacto tahona taladro talco talento taller tallo tambor tanda
tapa tapete tapia tapiz tapizar tarde tarea tarifa tarima tarjeta tarro tarta tauro taza teatro techo tecla tejedor
tejer tela tema templar tenazas tendero tenedor tenis tenue tercero tercio termita termo ternero ternura terreno terso
tesoro testigo tetera textil texto tibieza tibio tiempo tienda tierno tierra tigre tijeras tilde tilo timbre tinaja
tinte tinto tipo tiro tiza toalla tobillo tocador tocar toga toldo tolerar tomate tomillo tomo tonada tonel tono
topacio topo toque torcer torneo toro toronja torre torta tortuga tostada tostar trabajo traje tramo trato trazo trece
tregua treinta tren trenza trepar tres tribu trigal trigo trineo trino triple triunfo trofeo tronco trono tropel trotar
trote trozo trucha truco trueno trufa tubo tubular tuerca tulipa turbina turno tutor ubicar umbral unidad unir untar
urbano urna urraca usanza usar usual usuario uva vaca vajilla valer valija valla valle valor vals vaquero vara variar
varilla vasija vaso vasto vecino vega vegetal veinte velada velador velamen velero veleta velo veloz vencer vender
venta ventaja ventana ventura verano verbena verbo verdad verde verdor verdoso verdura vereda vergel verja verso vestir
viajar viaje viajero vibrar vida vidrio viejo viento viernes viga vigilar vigor villa vinagre vino violeta visera
visible visillo visita vitrina vivaz vivero viveza vivir vivo vocablo vocero volante volar volumen volver votar voz
vuelo vuelta vuestro yarda yate yedra yegua yelmo yema yeso yogur yuca yugo yunque yute zafiro zamarra zancada zanja
zapato zarpa zarza zodiaco zona zorro zorzal zueco zumaque zumbar zumo zurcir zurdo
"""
WORDS = tuple(_LIST.split())
